/** The rule by which watched canaries are promoted or taken back. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bucketOf, type CallCounts, type CountsByCell, DEFAULT_WATCH } from "../../../functions/model/canary.ts";
import { ALONE_MS, judge, type Verdict } from "../../../functions/model/canary-verdict.ts";

const { windowMs } = DEFAULT_WATCH;

/** Calls of which some failed, and the others took that long. */
function counts(calls: number, errors = 0, timeMs = 4): CallCounts {
  return { calls, errors, times: calls > errors ? { [bucketOf(timeMs)]: calls - errors } : {} };
}

/** The decision about calls of one client. */
function outcomeOf(base: CallCounts, canary: CallCounts, afterMs = windowMs, watch = DEFAULT_WATCH): string | null {
  return textOf(judge(watch, { base: { 0: base }, canary: { 0: canary } }, afterMs));
}

function textOf(verdict: Verdict | null): string | null {
  return verdict && `${verdict.kind} ${verdict.figures.reason}`;
}

describe("a canary", () => {
  it("is taken back as soon as its errors would be too many even if the rest went well", () => {
    assert.equal(outcomeOf(counts(500), counts(2, 2), ALONE_MS), null);
    assert.equal(outcomeOf(counts(500), counts(3, 3), ALONE_MS), "auto-rollback errors");
    assert.equal(outcomeOf(counts(500), counts(15, 3), ALONE_MS), "auto-rollback errors");
    assert.equal(outcomeOf(counts(0), counts(15, 3), ALONE_MS), "auto-rollback errors");
    assert.equal(outcomeOf(counts(500), counts(1_000, 50), ALONE_MS), null);
    assert.equal(outcomeOf(counts(500), counts(1_000, 51), ALONE_MS), "auto-rollback errors");
  });

  it("is not taken back for one client alone until others had time to call, or the window is over", () => {
    assert.equal(outcomeOf(counts(500), counts(50, 50), ALONE_MS - 1), null);
    const short = { ...DEFAULT_WATCH, windowMs: 1_000 };
    assert.equal(outcomeOf(counts(500), counts(50, 50), 999, short), null);
    assert.equal(outcomeOf(counts(500), counts(50, 50), 1_000, short), "auto-rollback errors");
  });

  it("may fail as often as the version before, and by the threshold more often", () => {
    assert.equal(outcomeOf(counts(1_000, 300), counts(1_000, 350), ALONE_MS), null);
    assert.equal(outcomeOf(counts(1_000, 300), counts(1_000, 351), ALONE_MS), "auto-rollback errors");
    const strict = { ...DEFAULT_WATCH, maxErrorPercent: 0 };
    assert.equal(outcomeOf(counts(1_000), counts(1_000, 1), ALONE_MS, strict), "auto-rollback errors");
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

describe("a canary with clients of several cells", () => {
  /** The decision when each cell had the same calls of the version before. */
  function decisionOf(canary: CountsByCell, afterMs = windowMs, base = counts(200)): Verdict | null {
    const bases = Object.fromEntries(Object.keys(canary).map((cell) => [cell, base]));
    return judge(DEFAULT_WATCH, { base: bases, canary }, afterMs);
  }
  const outcome = (...of: Parameters<typeof decisionOf>) => textOf(decisionOf(...of));

  it("is not taken back for one whose calls fail, however many, once the others have called", () => {
    const canary = { 0: counts(40), 1: counts(1_000, 1_000), 2: counts(40) };
    assert.equal(outcome(canary, 0), null);
    const verdict = decisionOf(canary);
    assert.equal(textOf(verdict), "auto-promote healthy");
    const { cells, others, canary: all } = verdict?.figures ?? {};
    assert.deepEqual([cells, all?.errors, others?.canary], [3, 1_000, { calls: 80, errors: 0, p99Ms: 4 }]);
    assert.match(verdict?.message ?? "", /without the worst of 3 cells of clients: canary 80 calls, 0 errors/);
  });

  it("is taken back for one whose calls fail when they do for the others, and says so", () => {
    const verdict = decisionOf({ 0: counts(40, 8), 1: counts(100, 100), 2: counts(40, 8) }, 0);
    assert.equal(textOf(verdict), "auto-rollback errors");
    assert.deepEqual(verdict?.figures.others?.canary, { calls: 80, errors: 16, p99Ms: 4 });
  });

  it("is taken back for two cells whose calls fail", () => {
    assert.equal(outcome({ 0: counts(10, 10), 1: counts(10, 10), 2: counts(80) }, 0), "auto-rollback errors");
  });

  it("waits for others than the one that fails, until the window is over", () => {
    const canary = { 0: counts(500, 100), 1: counts(12) };
    assert.equal(outcome(canary, 0), null);
    assert.equal(outcome(canary, windowMs - 1), null);
    assert.equal(outcome(canary), "auto-rollback errors");
    // A fifth of thirteen calls is more than 5 % of the 50 that it takes.
    assert.equal(outcome({ ...canary, 1: counts(13) }), null);
    assert.equal(outcome({ ...canary, 1: counts(13) }, windowMs * 3), "auto-rollback too-few-calls");
    assert.equal(outcome({ ...canary, 1: counts(50) }), "auto-promote healthy");
  });

  it("is not saved by cells that had no call of it", () => {
    const watched = { base: { 0: counts(10), 1: counts(10, 10) }, canary: { 0: counts(3, 3) } };
    assert.equal(textOf(judge(DEFAULT_WATCH, watched, windowMs - 1)), null);
    assert.equal(textOf(judge({ ...DEFAULT_WATCH, maxErrorPercent: 0 }, watched, windowMs)), null);
    const good = { base: { 0: counts(10), 1: counts(10) }, canary: { 0: counts(3, 3) } };
    assert.equal(textOf(judge(DEFAULT_WATCH, good, windowMs - 1)), null);
    assert.equal(textOf(judge(DEFAULT_WATCH, good, windowMs)), "auto-rollback errors");
  });

  it("is not taken back for one that is slow, but for all that are", () => {
    const slow = counts(100, 0, 900);
    assert.equal(outcome({ 0: counts(40), 1: slow, 2: counts(40) }), "auto-promote healthy");
    assert.equal(outcome({ 0: slow, 1: slow, 2: counts(400) }), "auto-rollback slow");
    assert.equal(outcome({ 1: slow }), "auto-rollback slow");
    // The others have too few calls to deny it.
    assert.equal(outcome({ 0: counts(20), 1: slow, 2: counts(20) }), "auto-rollback slow");
  });

  it("is not taken back for one that fails and is slow", () => {
    const canary = { 0: counts(40), 1: counts(100, 50, 900), 2: counts(40), 3: counts(40) };
    assert.equal(outcome(canary), "auto-promote healthy");
  });

  it("is not hurt by one that fails as often with the version before", () => {
    const watched = {
      base: { 0: counts(200), 1: counts(200, 200), 2: counts(200) },
      canary: { 0: counts(50, 10), 1: counts(50, 50), 2: counts(50, 10) },
    };
    assert.equal(textOf(judge(DEFAULT_WATCH, watched, 0)), "auto-rollback errors");
    const fine = { ...watched, canary: { 0: counts(50), 1: counts(50, 50), 2: counts(50) } };
    assert.equal(textOf(judge(DEFAULT_WATCH, fine, windowMs)), "auto-promote healthy");
  });
});

it("times have buckets that are never below them, and at most a tenth above", () => {
  for (const timeMs of [0, 0.3, 1, 1.01, 3.7, 16, 250, 30_000, 900_000]) {
    const watched = { base: { 3: counts(50) }, canary: { 3: counts(50, 0, timeMs) } };
    const verdict = judge(DEFAULT_WATCH, watched, windowMs);
    const p99Ms = verdict?.figures.canary.p99Ms ?? 0;
    assert.ok(p99Ms >= Math.max(1, timeMs) * 0.99 && p99Ms <= Math.max(1, timeMs) * 1.1, `${timeMs}: ${p99Ms}`);
  }
  assert.equal(bucketOf(Number.POSITIVE_INFINITY), bucketOf(1e9));
  assert.equal(bucketOf(Number.NaN), 0);
});
