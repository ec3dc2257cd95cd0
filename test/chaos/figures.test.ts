import assert from "node:assert/strict";
import { test } from "node:test";
import type { Execution } from "./executions.ts";
import { nothing } from "./faults.ts";
import { measure } from "./figures.ts";
import { goalsOf } from "./goals.ts";
import type { Call } from "./ledger.ts";

/** Ten calls a second: one second before the fault, one in it, ten after. */
const PHASES = { startMs: 0, beginMs: 1_000, healMs: 2_000, endMs: 12_000 };
const TOOK_MS = 5;

function calls(change: (call: Call) => Partial<Call> = () => ({})): Call[] {
  return Array.from({ length: 120 }, (_, index) => {
    const dueMs = index * 100;
    const call: Call = { id: `c${index}`, kind: "get", dueMs, endMs: dueMs + TOOK_MS, verdict: "right" };
    return { ...call, ...change(call) };
  });
}

/** Each call ran once, when it was sent, unless something else is said. */
function executions(list: readonly Call[], others: Record<string, number[]> = {}): Map<string, Execution[]> {
  return new Map(list.map(({ id, dueMs }) => [id, (others[id] ?? [dueMs]).map((atMs) => ({ pid: 1, atMs }))] as const));
}

function judge(list: readonly Call[], others: Record<string, number[]> = {}, leaks: string[] = []) {
  const figures = measure(list, executions(list, others), PHASES);
  const run = { name: "f", what: "nothing", fault: nothing, may: ["WORKER_LOST"] };
  const goals = goalsOf({ run, figures, leaks, heals: true, deaths: [] });
  return { figures, missed: goals.filter(({ met }) => !met).map(({ name, hard }) => ({ name, hard })) };
}

test("a run in which all is right meets every goal", () => {
  const { figures, missed } = judge(calls());
  assert.deepEqual(missed, []);
  assert.deepEqual(figures.during, { p50Ms: TOOK_MS, p99Ms: TOOK_MS });
  assert.equal(figures.recoveryMs, 0);
});

test("calls that ran twice, got another's answer or none, and leaks break hard goals", () => {
  const list = calls(({ id }) => (id === "c1" ? { verdict: "wrong" } : id === "c2" ? { verdict: "LOST" } : {}));
  const { figures, missed } = judge(list, { c3: [300, 900] }, ["process 1"]);
  assert.deepEqual([figures.twice, figures.wrong, figures.lost], [1, 1, 1]);
  assert.deepEqual(
    missed.filter(({ hard }) => hard).map(({ name }) => name),
    ["no call ran twice", "no answer was wrong", "every call was answered", "nothing is left behind"],
  );
});

test("a call that ran although its caller was told that it did not misses a soft goal", () => {
  for (const [verdict, ranAtMs, isMissed] of [
    ["EXPIRED", 100, true],
    ["WORKER_LOST", 100, false],
    ["WORKER_LOST", 100 + TOOK_MS + 1, true],
  ] as const) {
    const list = calls(({ id }) => (id === "c1" ? { verdict } : {}));
    const { missed } = judge(list, { c1: [ranAtMs] });
    const names = missed.map(({ name }) => name);
    assert.equal(
      names.includes("no call ran whose caller was told that it did not"),
      isMissed,
      `${verdict} ${ranAtMs}`,
    );
  }
});

test("a call that did not run counts as right but not noted, and as an error that did not run", () => {
  const list = calls(({ id }) => (id === "c1" ? { verdict: "WORKER_LOST" } : {}));
  const { figures } = judge(list, { c1: [], c2: [] });
  assert.equal(figures.unnoted, 1);
  assert.deepEqual(figures.errors, [{ code: "WORKER_LOST", count: 1, ran: 0, ranLate: 0 }]);
});

test("recovery is where seconds without errors and delays begin", () => {
  const slowUntil = (ms: number) => (call: Call) =>
    call.dueMs >= 2_000 && call.dueMs < ms ? { endMs: call.dueMs + 2_000 } : {};
  assert.equal(judge(calls(slowUntil(4_500))).figures.recoveryMs, 3_000);
  const { figures, missed } = judge(calls(slowUntil(11_000)));
  assert.equal(figures.recoveryMs, null);
  assert.deepEqual(missed, [{ name: "p99 is back within 5 s", hard: false }]);
});
