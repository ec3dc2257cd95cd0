/** Which of the calls that wait for an instance gets it. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { nextInTurn } from "../../../worker/pool/waiting-calls.ts";

const NOW_MS = 100_000;
/** Calls that came so many milliseconds ago, oldest first. */
const waiting = (...agesMs: number[]) => agesMs.map((ageMs) => ({ sinceMs: NOW_MS - ageMs, ageMs }));
const next = (meanCallMs: number, ...agesMs: number[]) =>
  nextInTurn({ waiting: waiting(...agesMs), meanCallMs }, NOW_MS)?.ageMs;

it("the oldest goes first, unless it waited longer than helps its caller", () => {
  assert.equal(next(10, 2_000, 1_000, 0), 2_000);
  assert.equal(next(10, 9_000, 8_000, 1_000, 0), 1_000);
  assert.equal(next(10), undefined);
});

it("of calls that all waited too long the youngest goes first", () => {
  assert.equal(next(10, 9_000, 8_000, 7_000), 7_000);
});

it("a wait helps longer where calls take longer", () => {
  assert.equal(next(5_000, 9_000, 8_000, 0), 9_000);
});
