/** How long records of calls are kept, and which make way when there are too many. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, beforeEach, describe, it } from "node:test";
import type { Redis } from "ioredis";
import { newInvocationId } from "../../../functions/model/invocation-id.ts";
import type { InvocationRecord } from "../../../functions/model/record.ts";
import { limitRecords } from "../../../functions/store/log-batch.ts";
import {
  appendLogs,
  findInvocation,
  followLogs,
  readLogs,
  recordInvocation,
  recordUnrun,
} from "../../../functions/store/logs.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";

const DAY_MS = 86_400_000;
/** Room for about 20 records. */
const FEW = { keepMs: DAY_MS, maxBytes: 16_000 };

let server: TestRedis;
let redis: Redis;
before(async () => {
  server = await startRedis();
});
after(() => server.stop());
beforeEach(async () => {
  redis = server.connect();
  await redis.flushall();
});

function record(functionName: string, parts: Partial<InvocationRecord> = {}): InvocationRecord {
  return {
    ...{ id: randomUUID(), tenant: "main", functionName, version: "a".repeat(64), outcome: "ok", status: 200 },
    ...{ ran: "yes", start: "warm", timing: { queueMs: 1, sandboxMs: 0, initMs: 0, handlerMs: 2 } },
    ...{ cpuMs: 1, peakMemoryBytes: 1, startedAtMs: 1_000, endedAtMs: 2_000 },
    ...parts,
  };
}

const times = (count: number, make: () => InvocationRecord) => Array.from({ length: count }, make);
const keep = async (records: InvocationRecord[]) => {
  for (const made of records) await recordInvocation(redis, made);
  return records;
};
const found = async (records: InvocationRecord[]) => {
  const all = await Promise.all(records.map(({ id, tenant }) => findInvocation(redis, tenant, id)));
  return all.filter((one) => one !== null).length;
};
const keptBytes = async () => Number(await redis.get("sp:recordbytes"));

describe("records beyond their bytes", () => {
  it("make way oldest first, and are still not recorded again", async () => {
    limitRecords(redis, FEW);
    const [oldest, ...later] = await keep(times(40, () => record("busy")));
    assert.ok(oldest);
    assert.equal(await findInvocation(redis, "main", oldest.id), null);
    assert.equal(await recordInvocation(redis, oldest), false);
    const gone = await redis.keys("sp:recordsgone:*");
    assert.ok(gone.length > 0);
    const left = await Promise.all(gone.map((key) => redis.pttl(key)));
    assert.ok(
      left.every((ms) => ms > 0 && ms <= 120_000),
      `${left} ms`,
    );
    assert.equal(await found(later.slice(-15)), 15);
    assert.ok((await keptBytes()) <= FEW.maxBytes);
  });

  it("are those of whoever has most: other functions, and failures, stay", async () => {
    limitRecords(redis, FEW);
    const others = await keep(times(3, () => record("quiet")));
    const failed = await keep(times(3, () => record("busy", { outcome: "timeout" })));
    const made = await keep(times(60, () => record("busy")));
    assert.equal(await found([...others, ...failed]), 6);
    assert.ok((await found(made)) < 20);
  });

  it("of calls that never ran displace each other alone, whatever functions they name", async () => {
    limitRecords(redis, FEW);
    const ran = await keep(times(5, () => record("hello")));
    const unrun = times(60, () => record(`made-up-${randomUUID().slice(0, 8)}`, { outcome: "platform_error" }));
    for (const one of unrun) await recordUnrun(redis, one);
    assert.equal(await found(ran), 5);
    assert.equal(await findInvocation(redis, "main", unrun[0]?.id ?? ""), null);
    assert.deepEqual(await findInvocation(redis, "main", unrun.at(-1)?.id ?? ""), unrun.at(-1));
  });

  it("go until all fit when the limit becomes lower", async () => {
    await keep(times(60, () => record("hello")));
    limitRecords(redis, FEW);
    await keep(times(4, () => record("other")));
    assert.ok((await keptBytes()) <= FEW.maxBytes);
  });
});

describe("records beyond their time", () => {
  it("expire, and count no more, also those of functions that nobody calls any more", async () => {
    limitRecords(redis, { keepMs: 60_000, maxBytes: 1e9 });
    await keep(times(10, () => record("gone")));
    const [first] = await keep(times(1, () => record("old")));
    const hash = `sp:records:${first?.id.slice(0, 11)}`;
    const left = await redis.pttl(hash);
    assert.ok(left > 0 && left <= 60_000, `${left} ms`);
    const before = await keptBytes();
    limitRecords(redis, { keepMs: 1, maxBytes: 1e9 });
    const line = { invocationId: null, timeMs: 1, level: "info", source: "console", text: "x" } as const;
    // Runs look at one heap by chance, now and then.
    while ((await redis.zcard("sp:recordheaps")) > 0) await appendLogs(redis, first as InvocationRecord, [line]);
    assert.equal(await keptBytes(), 0);
    assert.ok(before > 0);
  });
});

describe("records of calls that went well", () => {
  const ends = async (functionName: string) =>
    (await readLogs(redis, { tenant: "main", functionName }, { limit: 100 })).map(({ entry }) => entry);
  const ofOneMoment = (parts: Partial<InvocationRecord> = {}) =>
    times(10, () => record("together", { id: newInvocationId(1_700_000_000_000), ...parts }));

  it("are written together: without a key each, and with one entry in the log, which has them in order", async () => {
    const made = ofOneMoment();
    const line = { invocationId: null, timeMs: 1, level: "info", source: "console", text: "x" } as const;
    const [first, second, third] = made as [InvocationRecord, InvocationRecord, InvocationRecord];
    await Promise.all([appendLogs(redis, first, [line]), ...made.map((one) => recordInvocation(redis, one))]);
    assert.deepEqual(await redis.keys("sp:record:*"), []);
    assert.equal((await redis.keys("sp:records:*")).length, 1);
    assert.equal(await redis.xlen("sp:logs:main:together"), 2);
    assert.deepEqual(await ends("together"), [line, ...made.map((end) => ({ end }))]);
    assert.equal(await found(made), made.length);
    const part = async (filter: { invocationId?: string; limit: number }) =>
      (await readLogs(redis, first, filter)).map(({ entry }) => entry);
    assert.deepEqual(await part({ invocationId: third.id, limit: 5 }), [{ end: third }]);
    assert.deepEqual(
      await part({ limit: 2 }),
      made.slice(-2).map((end) => ({ end })),
    );
    const stop = new AbortController();
    const entries = followLogs(redis, first, { after: "0-0", invocationId: second.id, signal: stop.signal });
    assert.deepEqual((await entries.next()).value?.entry, { end: second });
    stop.abort();
    await entries.return(undefined);
  });

  it("and of one that failed are at most one, in the same moment or later, whichever is first", async () => {
    const [well, failed] = [ofOneMoment(), ofOneMoment({ outcome: "timeout" })];
    const other = (one: InvocationRecord): InvocationRecord => ({
      ...one,
      outcome: one.outcome === "ok" ? "timeout" : "ok",
    });
    const write = async (one: InvocationRecord) =>
      Promise.all([recordInvocation(redis, one), recordInvocation(redis, other(one)), recordInvocation(redis, one)]);
    for (const one of [...well, ...failed]) {
      assert.deepEqual(await write(one), [true, false, false]);
      assert.deepEqual(await write(other(one)), [false, false, false]);
      assert.deepEqual(await findInvocation(redis, "main", one.id), one);
    }
    assert.deepEqual(
      await ends("together"),
      [...well, ...failed].map((end) => ({ end })),
    );
  });

  it("that have made way are in the log no more", async () => {
    limitRecords(redis, FEW);
    const made = await keep(times(60, () => record("busy")));
    const left = await found(made);
    assert.ok(left > 0 && left < 60, `${left}`);
    assert.deepEqual(
      await ends("busy"),
      made.slice(-left).map((end) => ({ end })),
    );
  });

  it("by an older Sandpiper, with a key each, are found, are the only ones, and make way", async () => {
    const old = times(3, () => record("busy"));
    for (const one of old) {
      const text = JSON.stringify(one);
      const bytes = text.length + 300;
      await redis.set(`sp:record:${one.id}`, text, "PX", DAY_MS);
      await redis.xadd("sp:logs:main:busy", "*", "e", text);
      await redis.lpush("sp:recordheap:main:busy:ok", `${Date.now()} ${bytes} ${one.id}`);
      await redis.zincrby("sp:recordheaps", bytes, "main:busy:ok");
      await redis.incrby("sp:recordbytes", bytes);
    }
    assert.equal(await found(old), 3);
    assert.deepEqual(await Promise.all(old.map((one) => recordInvocation(redis, one))), [false, false, false]);
    assert.deepEqual(
      await ends("busy"),
      old.map((end) => ({ end })),
    );
    limitRecords(redis, FEW);
    await keep(times(40, () => record("busy")));
    assert.equal(await found(old), 0);
    assert.deepEqual(await Promise.all(old.map((one) => recordInvocation(redis, one))), [false, false, false]);
    assert.ok((await keptBytes()) <= FEW.maxBytes);
  });
});

describe("a call's record by its gateway", () => {
  it("stands until a worker records the call, and is in no log", async () => {
    const seen = record("hello", { outcome: "cancelled", ran: "unknown" });
    const known = { ...seen, outcome: "ok", ran: "yes" } as const;
    const log = async () => (await readLogs(redis, seen, { limit: 10 })).map(({ entry }) => entry);
    assert.equal(await recordUnrun(redis, seen), true);
    assert.deepEqual(await findInvocation(redis, "main", seen.id), seen);
    assert.equal(await findInvocation(redis, "other", seen.id), null);
    assert.deepEqual(await log(), []);
    assert.equal(await recordInvocation(redis, known), true);
    assert.deepEqual(await findInvocation(redis, "main", seen.id), known);
    assert.deepEqual(await log(), [{ end: known }]);
    assert.deepEqual(
      [await recordInvocation(redis, known), await recordUnrun(redis, seen)],
      [false, false],
      "a second one is refused",
    );
  });

  it("that a worker's replaced takes nothing along when it makes way", async () => {
    limitRecords(redis, FEW);
    const made = record("hello");
    await recordUnrun(redis, made);
    await recordInvocation(redis, made);
    for (let i = 0; i < 60; i++) await recordUnrun(redis, record("hello"));
    assert.deepEqual(await findInvocation(redis, "main", made.id), made);
  });
});
