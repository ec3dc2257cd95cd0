/** The rule by which watched canaries are promoted or taken back. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bucketOf, type CallCounts, DEFAULT_WATCH, judge, type Verdict } from "../../../functions/model/canary.ts";

const { windowMs } = DEFAULT_WATCH;

/** Calls of which some failed, and the others took that long. */
function counts(calls: number, errors = 0, timeMs = 4): CallCounts {
  return { calls, errors, times: calls > errors ? { [bucketOf(timeMs)]: calls - errors } : {} };
}

function outcomeOf(base: CallCounts, canary: CallCounts, afterMs = windowMs, watch = DEFAULT_WATCH): string | null {
  const verdict: Verdict | null = judge(watch, { base, canary }, afterMs);
  return verdict && `${verdict.kind} ${verdict.figures.reason}`;
}

describe("a canary", () => {
  it("is taken back as soon as its errors would be too many even if the rest went well", () => {
    assert.equal(outcomeOf(counts(500), counts(2, 2), 0), null);
    assert.equal(outcomeOf(counts(500), counts(3, 3), 0), "auto-rollback errors");
    assert.equal(outcomeOf(counts(500), counts(15, 3), 0), "auto-rollback errors");
    assert.equal(outcomeOf(counts(0), counts(15, 3), 0), "auto-rollback errors");
    assert.equal(outcomeOf(counts(500), counts(1_000, 50), 0), null);
    assert.equal(outcomeOf(counts(500), counts(1_000, 51), 0), "auto-rollback errors");
  });

  it("may fail as often as the version before, and by the threshold more often", () => {
    assert.equal(outcomeOf(counts(1_000, 300), counts(1_000, 350), 0), null);
    assert.equal(outcomeOf(counts(1_000, 300), counts(1_000, 351), 0), "auto-rollback errors");
    const strict = { ...DEFAULT_WATCH, maxErrorPercent: 0 };
    assert.equal(outcomeOf(counts(1_000), counts(1_000, 1), 0, strict), "auto-rollback errors");
  });

  it("is promoted after its window and not before", () => {
    assert.equal(outcomeOf(counts(500), counts(50), windowMs - 1), null);
    assert.equal(outcomeOf(counts(500), counts(50)), "auto-promote healthy");
  });

  it("waits for calls of both versions, for three windows", () => {
    for (const [base, canary] of [
      [500, 49],
      [49, 500],
    ] as const) {
      assert.equal(outcomeOf(counts(base), counts(canary), windowMs * 3 - 1), null);
      assert.equal(outcomeOf(counts(base), counts(canary), windowMs * 3), "auto-rollback too-few-calls");
    }
  });

  it("may be slower by half, or by ten milliseconds", () => {
    const after = (baseMs: number, canaryMs: number) => outcomeOf(counts(500, 0, baseMs), counts(100, 0, canaryMs));
    assert.equal(after(1, 10), "auto-promote healthy");
    assert.equal(after(1, 16), "auto-rollback slow");
    assert.equal(after(1_000, 1_400), "auto-promote healthy");
    assert.equal(after(1_000, 1_700), "auto-rollback slow");
  });

  it("is not judged by one slow call of two hundred, nor by calls that failed", () => {
    const canary = { calls: 200, errors: 0, times: { [bucketOf(4)]: 199, [bucketOf(5_000)]: 1 } };
    assert.equal(outcomeOf(counts(500), canary), "auto-promote healthy");
    const slow = { calls: 200, errors: 0, times: { [bucketOf(4)]: 196, [bucketOf(5_000)]: 4 } };
    assert.equal(outcomeOf(counts(500), slow), "auto-rollback slow");
    assert.equal(outcomeOf(counts(50, 50), counts(50, 50)), "auto-promote healthy");
  });
});

it("times have buckets that are never below them, and at most a tenth above", () => {
  for (const timeMs of [0, 0.3, 1, 1.01, 3.7, 16, 250, 30_000, 900_000]) {
    const verdict = judge(DEFAULT_WATCH, { base: counts(50), canary: counts(50, 0, timeMs) }, windowMs);
    const p99Ms = verdict?.figures.canary.p99Ms ?? 0;
    assert.ok(p99Ms >= Math.max(1, timeMs) * 0.99 && p99Ms <= Math.max(1, timeMs) * 1.1, `${timeMs}: ${p99Ms}`);
  }
  assert.equal(bucketOf(Number.POSITIVE_INFINITY), bucketOf(1e9));
  assert.equal(bucketOf(Number.NaN), 0);
});
