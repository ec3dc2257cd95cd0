/**
 * Which Redis is refused, as real servers of each kind; and that gateway and worker refuse it, by
 * name.
 */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { describe, type TestContext, test } from "node:test";
import { createLogger } from "../../infra/log.ts";
import { connectRedis } from "../../infra/redis.ts";
import { findRedisFaults, requireDurableRedis } from "../../infra/redis-durability.ts";
import { newKeyLine } from "../helpers/master-keys.ts";
import { startRedis } from "../helpers/redis.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const EVICTING = ["maxmemory 100mb", "maxmemory-policy allkeys-lru"];
const IN_MEMORY = ["appendonly no"];
const NO_CONFIG = ["user default on nopass ~* &* +@all -config"];
const SILENT = ["user default on nopass ~* &* +@all -config -info"];

async function redisWith(t: TestContext, settings: readonly string[]) {
  const server = await startRedis(settings);
  t.after(() => server.stop());
  return server;
}

describe("what is wrong with a Redis", () => {
  for (const [name, settings, faults, untold] of [
    ["one that keeps everything", [], [], []],
    ["one that evicts", EVICTING, ["evicting"], []],
    ["one that evicts what expires, once its memory has a limit", ["maxmemory-policy volatile-ttl"], ["evicting"], []],
    ["one that keeps nothing on disk", IN_MEMORY, ["in-memory"], []],
    ["one with both faults", [...EVICTING, ...IN_MEMORY], ["evicting", "in-memory"], []],
    ["one that keeps save points", [...IN_MEMORY, "save 60 1"], [], []],
    ["a hosted one that keeps everything", NO_CONFIG, [], []],
    ["a hosted one that evicts", [...EVICTING, ...NO_CONFIG], ["evicting"], []],
    ["a hosted one that may have save points", [...IN_MEMORY, ...NO_CONFIG], [], ["appendonly", "save"]],
    ["one that tells nothing", SILENT, [], ["maxmemory-policy", "appendonly", "save"]],
  ] as const) {
    test(name, async (t) => {
      const server = await redisWith(t, settings);
      const findings = await findRedisFaults(server.connect());
      assert.deepEqual(
        findings.faults.map((fault) => fault.name),
        faults,
      );
      assert.deepEqual(findings.untold, untold);
    });
  }
});

test("what is allowed is a warning, and one that answers later is looked at, too", async (t) => {
  const server = await redisWith(t, EVICTING);
  const lines = new EventEmitter();
  const log = createLogger({ service: "test", write: (line) => void lines.emit("line", JSON.parse(line)) });
  const redis = connectRedis(server.url, "test");
  t.after(() => redis.disconnect());
  const warned = once(lines, "line");
  await requireDurableRedis(redis, { allowed: ["evicting"], log });
  assert.partialDeepStrictEqual((await warned)[0], { level: "warn", allowed: "SANDPIPER_ALLOW_REDIS=evicting" });

  await server.kill();
  const said = once(lines, "line");
  await server.restart(IN_MEMORY);
  assert.partialDeepStrictEqual((await said)[0], { level: "error", code: "REDIS_LOSES_DATA" });
});

test("a Redis that is not there is waited for, and no longer than one may", async (t) => {
  const server = await redisWith(t, []);
  await server.kill();
  const redis = connectRedis(server.url, "test");
  redis.on("error", () => {});
  t.after(() => redis.disconnect());
  const log = createLogger({ service: "test", write: () => {} });
  const over = new AbortController();
  const late = requireDurableRedis(redis, { allowed: [], log, signal: over.signal });
  const found = requireDurableRedis(redis, { allowed: [], log });
  // Not by `once` of node:events, which takes the errors of failed attempts for its own.
  await new Promise((resolve) => redis.once("reconnecting", resolve));
  over.abort();
  await assert.rejects(late, /Redis is not there, where REDIS_URL says that it is: connect E/);
  await server.restart();
  await found;
});

test("a Redis that is there and wants a password is told as that", async (t) => {
  const server = await redisWith(t, ["requirepass secret"]);
  const redis = connectRedis(server.url, "test");
  t.after(() => redis.disconnect());
  const log = createLogger({ service: "test", write: () => {} });
  const over = new AbortController();
  const late = requireDurableRedis(redis, { allowed: [], log, signal: over.signal });
  redis.on("error", () => over.abort());
  await assert.rejects(late, /Redis is not there, where REDIS_URL says that it is: NOAUTH/);
});

for (const service of ["gateway", "worker"]) {
  test(`a ${service} refuses such a Redis, says why and what to do, and is not started again`, async (t) => {
    const server = await redisWith(t, [...EVICTING, ...IN_MEMORY]);
    const child = fork(new URL(`../../${service}/main.ts`, import.meta.url), [], {
      env: { PATH: process.env.PATH, REDIS_URL: server.url, SANDPIPER_DATA_DIR: tempDir(), SANDPIPER_PORT: "0" },
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    const ended = once(child, "exit");
    const [message] = await once(child, "message");
    assert.partialDeepStrictEqual(message, { type: "failed", code: "REDIS_LOSES_DATA" });
    assert.match(
      message.message,
      /allkeys-lru.*SANDPIPER_ALLOW_REDIS=evicting\n.*on disk.*SANDPIPER_ALLOW_REDIS=in-memory/,
    );
    assert.deepEqual(await ended, [78, null]);
  });
}

test("a gateway takes such a Redis when it is told to", async (t) => {
  const server = await redisWith(t, [...EVICTING, ...IN_MEMORY]);
  const child = fork(new URL("../../gateway/main.ts", import.meta.url), [], {
    env: {
      PATH: process.env.PATH,
      REDIS_URL: server.url,
      SANDPIPER_DATA_DIR: tempDir(),
      SANDPIPER_PORT: "0",
      SANDPIPER_ALLOW_REDIS: "evicting,in-memory",
      SANDPIPER_MASTER_KEY: newKeyLine(),
    },
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  t.after(() => child.kill("SIGKILL"));
  const [message] = await once(child, "message");
  assert.equal(message.type, "ready", JSON.stringify(message));
});
