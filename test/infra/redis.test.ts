import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { createLogger } from "../../infra/log.ts";
import { connectRedis } from "../../infra/redis.ts";
import { startRedis, type TestRedis } from "../helpers/redis.ts";

let server: TestRedis;
before(async () => {
  server = await startRedis();
});
after(() => server.stop());

test("it names itself, fails fast while Redis is away, heals, and reports each change once", async () => {
  const lines: string[] = [];
  const log = createLogger({ service: "test", human: true, write: (line) => void lines.push(line) });
  const redis = connectRedis(server.url, "probe", { log });
  assert.equal(await redis.client("GETNAME"), "probe");

  await server.kill();
  for (let attempt = 0; attempt < 4; attempt += 1) await assert.rejects(redis.ping());
  const back = once(redis, "ready");
  await server.restart();
  await back;
  assert.equal(await redis.ping(), "PONG");
  assert.equal(lines.filter((line) => line.includes("Redis is away")).length, 1);
  assert.equal(lines.filter((line) => line.includes("Redis is back")).length, 1);
  redis.disconnect();
});

test("commands that may wait are answered after Redis came back, with what it had stored", async () => {
  const redis = connectRedis(server.url, "patient", { whileAway: "wait" });
  await redis.set("kept", "1");
  await server.kill();
  const answer = redis.get("kept");
  await server.restart();
  assert.equal(await answer, "1");
  redis.disconnect();
});
