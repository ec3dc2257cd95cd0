/** Waits that end, and pauses that grow. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs, settledWithin } from "../../../infra/std/time.ts";

test("gives what a promise gives in time", async () => {
  assert.equal(await settledWithin(60_000, Promise.resolve(1)), 1);
});

test("gives null for one that never settles, and for one that rejects, now or later", async () => {
  const late = Promise.withResolvers<number>();
  assert.equal(await settledWithin(1, late.promise), null);
  assert.equal(await settledWithin(60_000, Promise.reject(new Error("no"))), null);
  // Nobody hears of it any more: an unhandled rejection would fail this test.
  late.reject(new Error("late"));
  await new Promise((resolve) => setImmediate(resolve));
});

test("leaves no timer behind", async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  await settledWithin(60_000, Promise.resolve());
  assert.equal(timers(), before);
});

test("pauses double up to the longest", () => {
  const pauses = [1, 2, 3, 4, 5, 5_000].map((attempt) => backoffMs(attempt, { firstMs: 10, longestMs: 100 }));
  assert.deepEqual(pauses, [10, 20, 40, 80, 100, 100]);
});
