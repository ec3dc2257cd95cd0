/** When a version is tried again of which an instance is to be kept. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Attempts } from "../../../worker/warm/attempts.ts";

describe("attempts", () => {
  it("that fail come after growing pauses, and at once after one that does not", () => {
    let nowMs = 0;
    const attempts = new Attempts(() => nowMs);
    const pauses = Array.from({ length: 10 }, () => {
      assert.ok(attempts.may(1));
      const pauseMs = attempts.failed("it throws");
      nowMs += pauseMs - 1;
      assert.ok(!attempts.may(1));
      nowMs += 1;
      return pauseMs / 1_000;
    });
    assert.deepEqual(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    assert.equal(attempts.problem, "it throws");
    attempts.started();
    assert.deepEqual([attempts.problem, attempts.may(1), attempts.failed("again")], [null, true, 1_000]);
  });

  it("of instances that end at once are few", () => {
    let nowMs = 0;
    const attempts = new Attempts(() => nowMs);
    const startAll = () => {
      let count = 0;
      for (; attempts.may(2); count++) attempts.started();
      return count;
    };
    assert.equal(startAll(), 8);
    assert.match(String(attempts.problem), /end soon/);
    nowMs += 25_000;
    assert.equal(startAll(), 2);
    nowMs += 3_600_000;
    assert.equal(startAll(), 8);
  });
});
