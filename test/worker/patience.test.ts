/** When a call waits for an instance that is busy, and when it gets one more. */
import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { test } from "node:test";
import { nextMean, shouldWait, UNKNOWN_CALL_MS } from "../../worker/patience.ts";

const instances = Math.max(2, availableParallelism());

test("with few instances nobody waits", () => {
  assert.equal(shouldWait({ instances: instances - 1, before: 0, waitedMs: 0, meanCallMs: 1, isHungry: true }), false);
});

test("behind short calls a call waits, up to a second", () => {
  const short = { instances, before: 60, meanCallMs: 1, isHungry: false };
  assert.equal(shouldWait({ ...short, waitedMs: 999 }), true);
  assert.equal(shouldWait({ ...short, waitedMs: 1_000 }), false);
});

test("behind long calls, or many, it waits a moment only", () => {
  for (const long of [
    { instances, before: 0, meanCallMs: UNKNOWN_CALL_MS },
    { instances, before: 1_000 * instances, meanCallMs: 1 },
  ]) {
    assert.equal(shouldWait({ ...long, waitedMs: 99, isHungry: false }), true);
    assert.equal(shouldWait({ ...long, waitedMs: 100, isHungry: false }), false);
  }
});

test("behind calls that keep every processor busy it waits for as long as that lasts", () => {
  assert.equal(shouldWait({ instances, before: 9, waitedMs: 60_000, meanCallMs: 500, isHungry: true }), true);
});

test("the mean follows the latest calls", () => {
  let meanMs = UNKNOWN_CALL_MS;
  for (let call = 0; call < 50; call++) meanMs = nextMean(meanMs, 2);
  assert.ok(meanMs < 3);
});
