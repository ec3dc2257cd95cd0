/** What is measured of one run. */
import { quantile } from "../bench/measure/stats.ts";
import type { Execution } from "./executions.ts";
import { KINDS } from "./kinds.ts";
import { type Call, delayMs } from "./ledger.ts";

/** By `monotonicMs`. */
export interface Phases {
  startMs: number;
  beginMs: number;
  healMs: number;
  endMs: number;
}

export interface ErrorFigures {
  code: string;
  count: number;
  /** How many of them ran all the same. */
  ran: number;
  /** How many of them began to run after the caller had been answered. */
  ranLate: number;
}

export interface Delays {
  p50Ms: number;
  p99Ms: number;
}

export interface Figures {
  sent: number;
  right: number;
  wrong: number;
  /** Without any answer, and with no connection that broke. */
  lost: number;
  /** Answers that were no right ones, the lost ones among them, the most frequent first. */
  errors: ErrorFigures[];
  /** Calls that ran more than once. */
  twice: number;
  /** Answered right, and no execution was noted: the count's own blind spot. */
  unnoted: number;
  /** Of calls that were answered right: how much longer they took than the function waits. */
  before: Delays | null;
  during: Delays | null;
  after: Delays | null;
  /**
   * From the heal until three seconds without an error and near the p99 of before. Null: not seen.
   */
  recoveryMs: number | null;
}

const WINDOW_MS = 1_000;
const GOOD_WINDOWS = 3;

/** @param executions of each call, by its id */
export function measure(
  calls: readonly Call[],
  executions: ReadonlyMap<string, readonly Execution[]>,
  phases: Phases,
): Figures {
  const { startMs, beginMs, healMs, endMs } = phases;
  const timed = calls.filter(({ dueMs }) => dueMs >= startMs);
  const runsOf = ({ id }: Call) => executions.get(id) ?? [];
  const before = delays(between(timed, startMs, beginMs));
  return {
    sent: calls.length,
    right: calls.filter(isRight).length,
    wrong: calls.filter(({ verdict }) => verdict === "wrong").length,
    lost: calls.filter(({ verdict }) => verdict === null || verdict === "LOST").length,
    errors: errorsOf(calls, runsOf),
    twice: calls.filter((call) => runsOf(call).length > 1).length,
    unnoted: calls.filter((call) => isRight(call) && KINDS[call.kind].runs && runsOf(call).length === 0).length,
    before,
    during: delays(between(timed, beginMs, healMs)),
    after: delays(between(timed, healMs, endMs)),
    recoveryMs: before === null ? null : recovery(between(timed, healMs, endMs), healMs, nearTo(before.p99Ms)),
  };
}

function isRight({ verdict }: Call): boolean {
  return verdict === "right";
}

function between(calls: readonly Call[], fromMs: number, toMs: number): Call[] {
  return calls.filter(({ dueMs }) => dueMs >= fromMs && dueMs < toMs);
}

function errorsOf(calls: readonly Call[], runsOf: (call: Call) => readonly Execution[]): ErrorFigures[] {
  const found = new Map<string, ErrorFigures>();
  for (const call of calls.filter(({ verdict }) => verdict !== "right" && verdict !== "wrong")) {
    const code = call.verdict ?? "LOST";
    const figures = found.get(code) ?? { code, count: 0, ran: 0, ranLate: 0 };
    const [first] = runsOf(call);
    figures.count += 1;
    figures.ran += first === undefined ? 0 : 1;
    figures.ranLate += first !== undefined && first.atMs > (call.endMs ?? Number.POSITIVE_INFINITY) ? 1 : 0;
    found.set(code, figures);
  }
  return [...found.values()].sort((one, other) => other.count - one.count);
}

/** Deployments take their own time, and do not count. */
function delays(calls: readonly Call[]): Delays | null {
  const sorted = calls
    .filter((call) => isRight(call) && KINDS[call.kind].runs)
    .map(delayMs)
    .sort((one, other) => one - other);
  return sorted.length === 0 ? null : { p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99) };
}

/**
 * The longest delay that still counts as near a p99. Single calls decide about a second, and a
 * machine that was slow before must not call everything near.
 */
function nearTo(p99Ms: number): number {
  return Math.min(Math.max(3 * p99Ms, p99Ms + 100), Math.max(p99Ms, 2_000));
}

/** When the first good window of several begins, after the heal. */
function recovery(calls: readonly Call[], healMs: number, mostMs: number): number | null {
  const windows: boolean[] = [];
  for (const call of calls) {
    const index = Math.floor((call.dueMs - healMs) / WINDOW_MS);
    const isGood = isRight(call) && (!KINDS[call.kind].runs || delayMs(call) <= mostMs);
    windows[index] = (windows[index] ?? true) && isGood;
  }
  const first = windows.findIndex((_, index) =>
    Array.from({ length: GOOD_WINDOWS }, (_, more) => windows[index + more]).every((good) => good === true),
  );
  return first < 0 ? null : first * WINDOW_MS;
}
