import assert from "node:assert/strict";
import { once } from "node:events";
import { after, afterEach, before, describe, it } from "node:test";
import type { Redis } from "ioredis";
import { RedisClock } from "../../../functions/redis/clock.ts";
import { connectionLike, FAIL_FAST, PATIENT } from "../../../functions/redis/connections.ts";
import { linkOf, type RedisChange, type RedisLink } from "../../../functions/redis/link.ts";
import { reportLink } from "../../../functions/redis/link-report.ts";
import { SilenceWatch } from "../../../functions/redis/silence.ts";
import { CutProxy, through } from "../../helpers/cut-proxy.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";

let server: TestRedis;
before(async () => {
  server = await startRedis();
});
after(() => server.stop());

const connections: Redis[] = [];
const proxies: CutProxy[] = [];
afterEach(() => {
  for (const redis of connections.splice(0)) redis.disconnect();
  for (const proxy of proxies.splice(0)) proxy.stop();
});

function connect(options: Parameters<TestRedis["connect"]>[0] = {}): Redis {
  const redis = server.connect(options);
  connections.push(redis);
  return redis;
}

/** Resolves when something that no event tells of has come true. */
async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

async function whole(link: RedisLink): Promise<void> {
  await eventually(() => link.isWhole);
}

/** What a link says next of Redis. */
async function change(link: RedisLink): Promise<RedisChange> {
  const [said] = (await once(link, "change")) as [RedisChange];
  return said;
}

describe("a link", () => {
  it("has the connections that were made like one another", () => {
    const root = connect();
    const other = connectionLike(root, PATIENT);
    connections.push(other);
    assert.equal(linkOf(other), linkOf(root));
    assert.notEqual(linkOf(connect()), linkOf(root));
  });

  it("says that Redis went back in time when it is flushed, and when a copy of before is restored", async () => {
    const root = connect();
    const link = linkOf(root);
    await whole(link);
    const flushed = change(link);
    await root.flushall();
    assert.deepEqual(await flushed, { restarted: false, wentBack: true });

    const [canary = ""] = await root.keys("sp:canary:*");
    const copy = await root.dumpBuffer(canary);
    await eventually(() => link.isWhole);
    await sung(root, canary, copy);
    const restored = change(link);
    await root.restore(canary, 0, copy as Buffer, "REPLACE");
    assert.deepEqual(await restored, { restarted: false, wentBack: true });
  });

  it("says that Redis was started anew, and does not say that something is gone when nothing is", async () => {
    const root = connect();
    const link = linkOf(root);
    await whole(link);
    const restarted = change(link);
    await server.kill();
    await server.restart();
    assert.deepEqual(await restarted, { restarted: true, wentBack: false });
  });

  it("has a line in the log when this machine's clock is off by more than a second, and when it is right", async (t) => {
    const root = connect();
    const lines: string[] = [];
    const note = (message: string, fields = {}) => lines.push(`${message} ${JSON.stringify(fields)}`);
    reportLink(root, { info: note, warn: note });
    const link = linkOf(root);
    await whole(link);
    const { now } = Date;
    const said = once(link, "skew");
    t.mock.method(Date, "now", () => now() + 31_000);
    near(((await said) as [number])[0], 31_000, 1_000);
    const right = once(link, "skew");
    t.mock.restoreAll();
    assert.deepEqual(await right, [0]);
    assert.equal(lines.length, 2);
    assert.match(lines[0] ?? "", /clock is wrong.*"3[01]\.\d s ahead of Redis's"/);
    assert.match(lines[1] ?? "", /agrees with Redis's again/);
  });

  it("has one line in the log for each", async () => {
    const root = connect();
    const lines: string[] = [];
    reportLink(root, { info: (message) => lines.push(message), warn: (message) => lines.push(message) });
    const link = linkOf(root);
    await whole(link);
    const flushed = change(link);
    await root.flushall();
    await flushed;
    assert.deepEqual(lines.length, 1);
    assert.match(lines[0] ?? "", /gone back in time/);
  });
});

/** Resolves when the canary has been heard since that copy. */
async function sung(redis: Redis, canary: string, copy: Buffer | null): Promise<void> {
  while ((await redis.dumpBuffer(canary))?.equals(copy as Buffer)) await new Promise((done) => setTimeout(done, 10));
}

describe("a network that is cut and healed", () => {
  it("has every connection made anew, whatever it waits for, although none has ended", async () => {
    const proxy = await CutProxy.start(server);
    proxies.push(proxy);
    const root = connect(through(proxy));
    const [hasty, waiting, subscribed] = [
      connectionLike(root, FAIL_FAST),
      connectionLike(root, PATIENT, 1),
      connectionLike(root, PATIENT),
    ];
    connections.push(hasty, waiting, subscribed);
    const link = linkOf(root);
    await Promise.all([whole(link), once(subscribed, "ready").then(() => subscribed.subscribe("sp:test"))]);
    const ended = connections.map((redis) => new Promise((resolve) => redis.once("close", resolve)));
    proxy.cut();
    const answer = waiting.brpop("sp:test:list", 1);
    await Promise.all(ended);
    assert.equal(link.isWhole, false);

    const message = once(subscribed, "message");
    proxy.heal();
    await whole(link);
    const direct = connect();
    while ((await direct.publish("sp:test", "heard")) === 0);
    assert.deepEqual(await message, ["sp:test", "heard"]);
    assert.equal(await answer, null);
    assert.equal(await hasty.ping(), "PONG");
  });

  it("has connections made anew that a short cut left dead, as soon as Redis answers on another", async () => {
    const proxy = await CutProxy.start(server);
    proxies.push(proxy);
    const root = connect(through(proxy));
    const waiting = connectionLike(root, PATIENT, 1);
    connections.push(waiting);
    await Promise.all([whole(linkOf(root)), once(waiting, "ready")]);
    const ended = [root, waiting].map((redis) => once(redis, "error"));
    const answer = waiting.brpop("sp:test:list", 1);
    proxy.cut();
    proxy.heal();
    for (const [error] of await Promise.all(ended)) assert.match(String(error), /but not over this connection/);
    await whole(linkOf(root));
    assert.equal(await answer, null);
  });

  it("keeps the connections of a Redis that stands still for a moment", async () => {
    const proxy = await CutProxy.start(server);
    proxies.push(proxy);
    const root = connect(through(proxy));
    await whole(linkOf(root));
    const id = await root.client("ID");
    process.kill(server.pid, "SIGSTOP");
    // One more asks whether Redis answers others.
    await eventually(() => proxy.connections === 2).finally(() => process.kill(server.pid, "SIGCONT"));
    await eventually(() => proxy.connections === 1);
    assert.equal(await root.client("ID"), id);
  });

  it("is not doubted while a long command may still be on its way", async () => {
    const proxy = await CutProxy.start(server);
    proxies.push(proxy);
    for (const [bytes, isDoubtful] of [
      [1, true],
      [2 * 1024 * 1024, false],
    ] as const) {
      const redis = connect(through(proxy));
      await once(redis, "ready");
      const watch = new SilenceWatch(redis);
      watch.look();
      await redis.ping();
      watch.look();
      proxy.cut();
      redis.set("sp:test:long", Buffer.alloc(bytes)).catch(() => {});
      for (let looks = 0; looks < 4; looks++) watch.look();
      assert.equal(watch.isDoubtful, isDoubtful);
      assert.equal(watch.answers, false);
      watch.answeredElsewhere();
      assert.equal(redis.stream.destroyed, isDoubtful);
      proxy.heal();
    }
  });

  it("ends no connection over which a command rightly waits", async () => {
    const proxy = await CutProxy.start(server);
    proxies.push(proxy);
    const root = connect(through(proxy));
    const waiting = connectionLike(root, PATIENT, 6);
    connections.push(waiting);
    const id = await waiting.client("ID");
    assert.equal(await waiting.brpop("sp:test:list", 6), null);
    assert.equal(await waiting.client("ID"), id);
  });
});

describe("Redis's clock", () => {
  it("is what an answer said, half of its way later, and the shortest way says it best", () => {
    const clock = new RedisClock();
    assert.deepEqual([clock.isSet, clock.aheadMs], [false, 0]);
    const sinceMs = Date.now() - performance.now();
    const measure = (fromMs: number, toMs: number, aheadMs: number) =>
      clock.measured(fromMs, toMs, sinceMs + (fromMs + toMs) / 2 - aheadMs);
    measure(0, 2_000, 31_500);
    measure(3_000, 3_010, 31_000);
    measure(4_000, 5_000, 30_700);
    near(clock.aheadMs, 31_000);
    near(clock.nowMs(), Date.now() - 31_000);
  });

  it("counts as the same as this machine's when it nearly is, or may be", () => {
    const clock = new RedisClock();
    const nowMs = performance.now();
    clock.measured(nowMs - 20, nowMs, Date.now() + 60);
    assert.equal(clock.aheadMs, 0);
  });

  it("is believed at once when it was set", () => {
    const clock = new RedisClock();
    const nowMs = performance.now();
    clock.measured(nowMs - 2, nowMs, Date.now());
    clock.measured(nowMs - 200, nowMs, Date.now() + 60_000);
    near(clock.aheadMs, -60_000);
  });
});

/** Two readings of a clock are a moment apart. */
function near(value: number, wantedMs: number, atMostMs = 100): void {
  assert.ok(Math.abs(value - wantedMs) <= atMostMs, `${value} instead of ${wantedMs}`);
}
