/** When a call waits for an instance that is busy, and when it gets one more. */
import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { test } from "node:test";
import { isSettling, mostStarts, nextMean, shouldWait, UNKNOWN_CALL_MS } from "../../../worker/pool/when-to-start.ts";

const isWorkerFull = false;
const instances = Math.max(2, availableParallelism());

test("with few instances nobody waits", () => {
  assert.equal(
    shouldWait({ instances: instances - 1, before: 0, waitedMs: 0, meanCallMs: 1, wantsMoreCpu: true, isWorkerFull }),
    false,
  );
});

test("behind short calls a call waits, up to a second", () => {
  const short = { instances, before: 60, meanCallMs: 1, wantsMoreCpu: false, isWorkerFull };
  assert.equal(shouldWait({ ...short, waitedMs: 999 }), true);
  assert.equal(shouldWait({ ...short, waitedMs: 1_000 }), false);
});

test("behind long calls, or many, it waits a moment only", () => {
  for (const long of [
    { instances, before: 0, meanCallMs: UNKNOWN_CALL_MS },
    { instances, before: 1_000 * instances, meanCallMs: 1 },
  ]) {
    assert.equal(shouldWait({ ...long, waitedMs: 99, wantsMoreCpu: false, isWorkerFull }), true);
    assert.equal(shouldWait({ ...long, waitedMs: 100, wantsMoreCpu: false, isWorkerFull }), false);
  }
});

test("behind calls that keep every processor busy it waits for as long as that lasts", () => {
  const busy = { instances, before: 9, meanCallMs: 500, wantsMoreCpu: true, isWorkerFull };
  assert.equal(shouldWait({ ...busy, waitedMs: 60_000 }), true);
});

test("at a worker that has no time left it waits up to a second, however long the calls are", () => {
  const long = { instances, before: 9, meanCallMs: 500, wantsMoreCpu: false, isWorkerFull: true };
  assert.equal(shouldWait({ ...long, waitedMs: 999 }), true);
  assert.equal(shouldWait({ ...long, waitedMs: 1_000 }), false);
});

test("a version that was never loaded is loaded once, and then not more often than there are processors for", () => {
  assert.equal(mostStarts({ loading: null }), 1);
  assert.equal(mostStarts({ loading: { endedAtMs: 0, tookMs: 1 } }), Math.min(4, instances));
});

test("after a loading that took long, calls have so long to get their turns before there is another", () => {
  const loading = { endedAtMs: 5_000, tookMs: 500 };
  assert.equal(isSettling({ loading, offeredAtMs: 5_450 }, 5_499), true);
  assert.equal(isSettling({ loading, offeredAtMs: 5_450 }, 5_500), false);
  assert.equal(isSettling({ loading, offeredAtMs: 5_000 }, 5_101), false, "no call gets its turn");
  assert.equal(
    isSettling({ loading: { ...loading, tookMs: 9_000 }, offeredAtMs: 6_000 }, 6_000),
    false,
    "a second is long",
  );
  assert.equal(isSettling({ loading: null, offeredAtMs: 5_450 }, 5_450), false);
});

test("the mean follows the latest calls", () => {
  let meanMs = UNKNOWN_CALL_MS;
  for (let call = 0; call < 50; call++) meanMs = nextMean(meanMs, 2);
  assert.ok(meanMs < 3);
});
