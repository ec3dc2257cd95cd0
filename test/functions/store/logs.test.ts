import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import type { Redis } from "ioredis";
import type { InvocationRecord, LogEntry, LogRecord } from "../../../functions/model/record.ts";
import {
  appendLogs,
  deleteLogs,
  findInvocation,
  followLogs,
  MAX_LOG_TEXT_LENGTH,
  newestPlace,
  readLogs,
  recordInvocation,
} from "../../../functions/store/logs.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";
import { stretched } from "../../helpers/slowness.ts";

let server: TestRedis;
let redis: Redis;
before(async () => {
  server = await startRedis();
  redis = server.connect();
});
after(() => server.stop());

function record(functionName: string, parts: Partial<InvocationRecord> = {}): InvocationRecord {
  return {
    id: randomUUID(),
    tenant: "main",
    functionName,
    version: "a".repeat(64),
    outcome: "ok",
    status: 200,
    start: "warm",
    timing: { queueMs: 1, sandboxMs: 0, initMs: 0, handlerMs: 2 },
    cpuMs: 1,
    peakMemoryBytes: 1,
    startedAtMs: 1_000,
    endedAtMs: 2_000,
    ...parts,
  };
}

function line(text: string, parts: Partial<LogRecord> = {}): LogRecord {
  return { invocationId: null, timeMs: 1_500, level: "info", source: "console", text, ...parts };
}

const ref = (functionName: string) => ({ tenant: "main", functionName });
const read = async (functionName: string, filter = {}): Promise<LogEntry[]> =>
  (await readLogs(redis, ref(functionName), { limit: 100, ...filter })).map(({ entry }) => entry);

describe("an invocation", () => {
  it("is recorded once, however many try, and the first one counts", async () => {
    const first = record("once", { status: 200 });
    const others = Array.from({ length: 50 }, () => ({ ...first, status: 503 }));
    const other = server.connect();
    const recorded = await Promise.all([
      recordInvocation(redis, first),
      ...others.map((again, i) => recordInvocation(i % 2 ? redis : other, again)),
    ]);
    assert.equal(recorded.filter(Boolean).length, 1);
    const [end, ...more] = await read("once");
    assert.deepEqual(more, []);
    assert.deepEqual(end, { end: await findInvocation(redis, "main", first.id) });
  });

  it("is found by its tenant alone", async () => {
    const made = record("found");
    assert.equal(await findInvocation(redis, "main", made.id), null);
    await recordInvocation(redis, made);
    assert.deepEqual(await findInvocation(redis, "main", made.id), made);
    assert.equal(await findInvocation(redis, "other", made.id), null);
    assert.equal(await findInvocation(redis, "main", "*"), null);
  });

  it("is recorded by a Redis that was restarted and knows no scripts any more", async () => {
    await recordInvocation(redis, record("restarted"));
    await server.kill();
    await server.restart();
    assert.equal(await recordInvocation(redis, record("restarted")), true);
    assert.equal((await read("restarted")).length, 2);
  });
});

describe("a function's log", () => {
  it("has lines and ends in the order in which they were written", async () => {
    const end = record("order");
    const lines = [line("one", { invocationId: end.id }), line("two", { invocationId: end.id, level: "error" })];
    await Promise.all([appendLogs(redis, ref("order"), lines), recordInvocation(redis, end)]);
    await appendLogs(redis, ref("order"), [line("three")]);
    await appendLogs(redis, ref("order"), []);
    assert.deepEqual(await read("order"), [...lines, { end }, line("three")]);
    assert.deepEqual(await read("elsewhere"), []);
  });

  it("can be read in part: one invocation, from a time on, the latest", async () => {
    const end = record("part", { endedAtMs: 9_000 });
    const mine = { invocationId: end.id };
    await appendLogs(redis, ref("part"), [
      line("a"),
      line("b", mine),
      line("c"),
      line("d", { ...mine, timeMs: 8_000 }),
    ]);
    await recordInvocation(redis, end);
    assert.deepEqual(await read("part", mine), [line("b", mine), line("d", { ...mine, timeMs: 8_000 }), { end }]);
    assert.deepEqual(await read("part", { sinceMs: 8_000 }), [line("d", { ...mine, timeMs: 8_000 }), { end }]);
    assert.deepEqual(await read("part", { ...mine, limit: 1 }), [{ end }]);
    assert.deepEqual(await read("part", { limit: 2 }), [line("d", { ...mine, timeMs: 8_000 }), { end }]);
  });

  it("is read to its end over many pages", async () => {
    const wanted = randomUUID();
    await appendLogs(redis, ref("long"), [line("first", { invocationId: wanted })]);
    await appendLogs(
      redis,
      ref("long"),
      Array.from({ length: 1_700 }, (_, i) => line(String(i))),
    );
    assert.deepEqual(await read("long", { invocationId: wanted }), [line("first", { invocationId: wanted })]);
    assert.equal((await read("long", { limit: 5_000 })).length, 1_701);
  });

  it("keeps only so much, and long text only in part", async () => {
    await appendLogs(redis, ref("full"), [line("x".repeat(MAX_LOG_TEXT_LENGTH + 1))]);
    const [cut] = (await read("full")) as LogRecord[];
    assert.match(cut?.text ?? "", /^x{8192}\.\.\. \(8193 characters, the rest is cut\)$/);
    await appendLogs(
      redis,
      ref("full"),
      Array.from({ length: 6_000 }, () => line("y")),
    );
    assert.ok((await redis.xlen("sp:logs:main:full")) < 5_200);
    assert.ok((await redis.pttl("sp:logs:main:full")) > 0);
  });

  it("can be deleted", async () => {
    await appendLogs(redis, ref("deleted"), [line("x")]);
    await deleteLogs(redis, ref("deleted"));
    assert.deepEqual(await read("deleted"), []);
  });
});

describe("following a log", () => {
  it("gives what comes after a place, and only what the filter lets through", async () => {
    await appendLogs(redis, ref("follow"), [line("before")]);
    const [placed] = await readLogs(redis, ref("follow"), { limit: 1 });
    await appendLogs(redis, ref("follow"), [line("between")]);
    const stop = new AbortController();
    const entries = followLogs(redis, ref("follow"), { after: placed?.place, signal: stop.signal });
    assert.deepEqual((await entries.next()).value?.entry, line("between"));
    const next = entries.next();
    await appendLogs(redis, ref("follow"), [line("after")]);
    assert.deepEqual((await next).value?.entry, line("after"));
    const last = entries.next();
    stop.abort();
    assert.equal((await last).done, true);
    // Redis hears of the connection's end a moment later.
    while (String(await redis.client("LIST")).includes("cmd=xread")) await redis.ping();
  });

  it("begins where the newest entry was, whatever is written meanwhile", async () => {
    const start = await newestPlace(redis, ref("begun"));
    await appendLogs(redis, ref("begun"), [line("meanwhile")]);
    const stop = new AbortController();
    const entries = followLogs(redis, ref("begun"), { after: start, signal: stop.signal });
    assert.deepEqual((await entries.next()).value?.entry, line("meanwhile"));
    stop.abort();
  });

  it("waits for longer than any other command of its connection may take", async () => {
    const limitMs = stretched(20);
    const hasty = redis.duplicate({ commandTimeout: limitMs });
    const stop = new AbortController();
    const entries = followLogs(hasty, ref("silent"), { after: "0-0", signal: stop.signal });
    const next = entries.next();
    await new Promise((resolve) => setTimeout(resolve, 3 * limitMs));
    await appendLogs(redis, ref("silent"), [line("at last")]);
    assert.deepEqual((await next).value?.entry, line("at last"));
    stop.abort();
    hasty.disconnect();
  });

  it("without a place gives only what comes from now on", async () => {
    await appendLogs(redis, ref("fresh"), [line("old")]);
    const stop = new AbortController();
    const id = randomUUID();
    const entries = followLogs(redis, ref("fresh"), { invocationId: id, signal: stop.signal });
    const next = entries.next();
    while (!String(await redis.client("LIST")).includes("cmd=xread")) await redis.ping();
    await appendLogs(redis, ref("fresh"), [line("not mine"), line("mine", { invocationId: id })]);
    assert.deepEqual((await next).value?.entry, line("mine", { invocationId: id }));
    stop.abort();
    assert.equal((await entries.next()).done, true);
  });
});
