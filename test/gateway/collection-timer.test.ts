/** A gateway collects by itself, and says what it did and what kept it from it. */
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { after, before, it } from "node:test";
import type { Redis } from "ioredis";
import { FileArtifactStore } from "../../functions/store/artifacts.ts";
import { Collector } from "../../functions/store/gc.ts";
import { Registry } from "../../functions/store/registry.ts";
import { CollectionTimer } from "../../gateway/collection-timer.ts";
import { createLogger } from "../../infra/log.ts";
import { startRedis, type TestRedis } from "../helpers/redis.ts";
import { tempDir } from "../helpers/temp-dir.ts";

let server: TestRedis;
let redis: Redis;
before(async () => {
  server = await startRedis();
  redis = server.connect();
});
after(() => server.stop());

const INTERVAL_MS = 20;

it("removes what waited, tells it once, and ends when it is told", async () => {
  const lines = new EventEmitter();
  const all: string[] = [];
  const write = (line: string) => {
    all.push(line);
    lines.emit(line.includes("not collected") ? "trouble" : "collected", line);
  };
  const log = createLogger({ service: "gateway", level: "debug", write });
  const artifacts = new FileArtifactStore(tempDir());
  const limits = { keepVersions: 0, keepVersionsMs: 0, graceMs: 0 };
  const collector = new Collector({ redis, registry: new Registry(redis), artifacts, limits });
  const timer = new CollectionTimer(collector, INTERVAL_MS, log);
  const digest = await artifacts.put(Buffer.from("nobody's"));
  let line = once(lines, "collected");
  timer.start();
  assert.match(String(await line), /"setAside":1,"files":0,"bytes":0/);
  line = once(lines, "collected");
  assert.match(String(await line), /"setAside":0,"files":1,"bytes":8/);
  assert.equal(await artifacts.has(digest), false);
  const trouble = once(lines, "trouble");
  await artifacts.addUser("another");
  assert.match(String(await trouble), /used by another Redis too/);
  // The same trouble is not told again: when a turn after the next begins, the next one is over.
  for (let turn = 0; turn < 2; turn++) {
    await redis.del("sp:gc:turn");
    while ((await redis.exists("sp:gc:turn")) === 0);
  }
  timer.stop();
  assert.equal(all.filter((one) => one.includes("not collected")).length, 1, all.join(""));
  assert.equal(all.length, 3, all.join(""));
});
