import assert from "node:assert/strict";
import { test } from "node:test";
import { beat, leave } from "../../functions/store/workers.ts";
import { Fleet } from "../../gateway/fleet.ts";
import { createLogger } from "../../infra/log.ts";
import { startRedis } from "../helpers/redis.ts";

const BEATEN = {
  ...{ host: "h", pid: 1, startedAtMs: 1, running: 0, room: 1 },
  posture: { launcher: "fork", degraded: [] as string[] },
};
const silent = createLogger({ service: "gateway", write: () => {} });

test("a gateway hears of the walls that its workers do without, when that changes and not else", async (t) => {
  const server = await startRedis();
  t.after(() => server.stop());
  const redis = server.connect();
  const heard: string[][] = [];
  let onHeard = () => {};
  const fleet = new Fleet(redis, silent, (walls) => {
    heard.push(walls);
    onHeard();
  });
  t.after(() => fleet.stop());
  const next = () => new Promise<void>((resolve) => (onHeard = resolve));

  await fleet.start();
  assert.deepEqual(heard, []);
  const worker = { id: "w", host: "h", pid: 1, startedAtMs: 1, running: 0, room: 1 };
  const degraded = next();
  await beat(redis, { ...worker, posture: { launcher: "fork", degraded: ["landlock"] } });
  await degraded;
  const whole = next();
  await leave(redis, "w");
  await whole;
  assert.deepEqual(heard, [["landlock"], []]);
});

test("a worker that comes, leaves or falls silent is one line", async (t) => {
  const server = await startRedis();
  t.after(() => server.stop());
  const redis = server.connect();
  const lines: Record<string, unknown>[] = [];
  let onLine = () => {};
  const write = (line: string) => {
    lines.push(JSON.parse(line));
    onLine();
  };
  const fleet = new Fleet(redis, createLogger({ service: "gateway", write }), () => {});
  t.after(() => fleet.stop());
  const told = async (count: number) => {
    while (lines.length < count) await new Promise<void>((resolve) => (onLine = resolve));
    return lines.slice(count - 1).map(({ level, message, worker }) => [level, message, worker]);
  };
  // Loops of events without a handle end; the look's own timer keeps no process alive.
  const alive = setInterval(() => {}, 1_000);
  t.after(() => clearInterval(alive));
  const worker = (id: string) => ({ ...BEATEN, id });

  await beat(redis, worker("known"));
  await fleet.start();
  assert.equal(lines.length, 0);
  const beats = setInterval(() => void beat(redis, worker("known")), 200);
  t.after(() => clearInterval(beats));
  await beat(redis, worker("one"));
  assert.deepEqual(await told(1), [["info", "a worker is there", "one"]]);
  await leave(redis, "one");
  assert.deepEqual(await told(2), [["info", "a worker has left", "one"]]);
  clearInterval(beats);
  // What its death comes to: nobody renews the key.
  await redis.del("sp:worker:known");
  assert.deepEqual(await told(3), [["error", "a worker is gone", "known"]]);
  assert.match(String(lines[2]?.reason), /died, hangs, or cannot reach Redis/);
});

test("nothing is said of workers while Redis is away, nor of those whose beats it missed", async (t) => {
  const server = await startRedis();
  t.after(() => server.stop());
  const redis = server.connect({ maxRetriesPerRequest: 0 });
  const lines: string[] = [];
  const fleet = new Fleet(redis, createLogger({ service: "gateway", write: (line) => lines.push(line) }), () => {});
  t.after(() => fleet.stop());
  await beat(redis, { ...BEATEN, id: "one" });
  await fleet.start();
  await server.kill();
  await assert.rejects(redis.ping());
  // Each start looks once.
  await fleet.start();
  await server.restart();
  while (redis.status !== "ready") await new Promise((resolve) => redis.once("ready", resolve));
  await redis.del("sp:worker:one");
  await fleet.start();
  assert.deepEqual(lines, []);
});
