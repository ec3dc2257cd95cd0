import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { Redis } from "ioredis";
import type { StoredSpan } from "../../../functions/model/span.ts";
import { readTrace, storeSpans, TRACE_TTL_MS } from "../../../functions/store/traces.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";

let server: TestRedis;
let redis: Redis;
before(async () => {
  server = await startRedis();
  redis = server.connect();
});
after(() => server.stop());

function span(traceDigit: string, startMs: number, attributes: StoredSpan["attributes"]): StoredSpan {
  const traceId = traceDigit.repeat(32);
  const spanId = String(startMs).padStart(16, "0");
  return {
    traceId,
    spanId,
    name: "s",
    kind: "internal",
    service: "test",
    startMs,
    endMs: startMs + 1,
    status: "ok",
    attributes,
  };
}

it("gives the spans of one tenant's trace in order, and no other's", async () => {
  const mine = { "sandpiper.tenant": "main" };
  await storeSpans(redis, [span("a", 2, mine), span("b", 1, mine), span("a", 5, { "sandpiper.tenant": "other" })]);
  await storeSpans(redis, [span("a", 1, mine)]);
  assert.deepEqual(await readTrace(redis, "main", "a".repeat(32)), [span("a", 1, mine), span("a", 2, mine)]);
  assert.equal(await readTrace(redis, "third", "a".repeat(32)), null);
  assert.equal(await readTrace(redis, "main", "c".repeat(32)), null);
  assert.equal(await readTrace(redis, "main", "*"), null);
});

it("keeps them for a while only", async () => {
  await storeSpans(redis, [span("d", 1, { "sandpiper.tenant": "main" })]);
  const left = await redis.pttl(`sp:trace:main:${"d".repeat(32)}`);
  assert.ok(left > 0 && left <= TRACE_TTL_MS);
});

it("keeps no span without a tenant, none that is too large, and not too many", async () => {
  const mine = { "sandpiper.tenant": "main" };
  await storeSpans(redis, [span("e", 1, {}), span("e", 2, { ...mine, long: "x".repeat(9_000) })]);
  assert.equal(await readTrace(redis, "main", "e".repeat(32)), null);
  await storeSpans(
    redis,
    Array.from({ length: 1_200 }, (_, i) => span("f", i, mine)),
  );
  assert.equal((await readTrace(redis, "main", "f".repeat(32)))?.length, 1_000);
});
