import assert from "node:assert/strict";
import { test } from "node:test";
import { type Entry, failedEntry, formatEntry, formatMarkdown, isBroken } from "./report.ts";
import { RUNS } from "./runs.ts";

const [RUN] = RUNS;
const DELAYS = { p50Ms: 5, p99Ms: 1_500 };

function entry(goals: Partial<Record<"hard" | "soft", boolean>>): Entry {
  return {
    ...{ name: "kill-it", what: "a kill", leaks: [], failure: null },
    figures: {
      ...{ sent: 10, right: 8, wrong: 0, lost: 0, twice: 0, unnoted: 0, recoveryMs: 1_000 },
      errors: [{ code: "WORKER_LOST", count: 2, ran: 1, ranLate: 0 }],
      ...{ before: DELAYS, during: null, after: DELAYS },
    },
    goals: Object.entries(goals).map(([name, met]) => ({ name, hard: name === "hard", met, found: "something" })),
  };
}

test("a missed hard goal and a run that could not be had fail the whole; a soft one only when strict", () => {
  assert.ok(RUN);
  for (const [one, plain, strict] of [
    [entry({ hard: true, soft: true }), false, false],
    [entry({ hard: true, soft: false }), false, true],
    [entry({ hard: false, soft: true }), true, true],
    [failedEntry(RUN, "no Redis"), true, true],
  ] as const) {
    assert.deepEqual([isBroken(one, false), isBroken(one, true)], [plain, strict]);
  }
});

test("what is missed is said, for each run and below the table", () => {
  const text = formatEntry(entry({ hard: false, soft: false }));
  assert.match(text, /errors: 2 WORKER_LOST \(1 ran, 0 late\)/);
  assert.match(text, /before 5\.0 ms\/1500 ms, during -/);
  assert.match(text, /BROKEN: hard \(something\)\n {2}missed: soft \(something\)/);
  const table = formatMarkdown([entry({ soft: true }), entry({ hard: false })]);
  assert.equal(table.match(/^\| kill-it \| 10 \| 8 \|.* within 2 s \|$/gm)?.length, 2);
  assert.match(table, /- \*\*kill-it\*\* BROKE: hard \(something\)/);
});

test("runs have names of their own", () => {
  assert.equal(new Set(RUNS.map(({ name }) => name)).size, RUNS.length);
});
