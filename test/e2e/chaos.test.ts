/**
 * `npm run chaos` in short: kills while calls run, and what must hold whatever happens. No time is
 * asserted here.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { goalsOf } from "../chaos/goals.ts";
import { entryOf, formatEntry } from "../chaos/report.ts";
import { type Plan, runTogether } from "../chaos/run.ts";
import { RUNS } from "../chaos/runs.ts";
import { stretched } from "../helpers/slowness.ts";

const PLAN: Plan = {
  ...{ warmUpMs: 500, beforeMs: 500, duringMs: 1_000, afterMs: 1_000, rate: 20, seed: 1 },
  ...{ timeoutMs: stretched(10_000), lostMs: stretched(60_000) },
};

const NAMES = ["restore", "kill-sandbox", "kill-zygote", "kill-worker", "kill-gateway", "kill-redis"];

test("every call is answered, none runs twice, all heals, and nothing is left", async (t) => {
  const runs = RUNS.filter(({ name }) => NAMES.includes(name));
  assert.equal(runs.length, NAMES.length);
  for (const result of await runTogether(runs, {}, PLAN)) {
    await t.test(result.run.name, () => {
      const text = formatEntry(entryOf(result));
      for (const goal of goalsOf(result)) assert.ok(goal.met || !goal.hard, `${goal.name}: ${goal.found}\n${text}`);
      for (const { code } of result.figures.errors) assert.ok(result.run.may.includes(code), `${code}\n${text}`);
    });
  }
});
