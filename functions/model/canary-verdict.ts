/**
 * The rule by which a watched canary is promoted or taken back. A client that sends requests which
 * make a function fail, or take long, decides nothing alone: the canary must be worse for the
 * clients of all other cells as well, whichever cell is left out.
 */
import {
  type CallCounts,
  type CanaryWatch,
  type Comparison,
  type CountsByCell,
  noCalls,
  p99Of,
  type VerdictReason,
  type VersionFigures,
  type WatchCounts,
  type WatchFigures,
} from "./canary.ts";

/** Windows that a canary with too few calls waits in all, before it is taken back. */
export const MAX_WINDOWS = 3;
/** A canary may be slower by this factor at the 99th percentile, or by so many milliseconds. */
const SLOWER_FACTOR = 1.5;
const SLOWER_MS = 10;

/**
 * Time in which clients of other cells would have called. Until then a client that is quick to send
 * what fails could be the only one that there is.
 */
export const ALONE_MS = 10_000;

/** A decision about a canary. */
export interface Verdict {
  kind: "auto-promote" | "auto-rollback";
  /** One sentence with the figures. */
  message: string;
  figures: WatchFigures;
}

/** One way to be worse than the version before. */
interface Fault {
  /** By how much the canary is worse than it may be; 0 or less: it is not. */
  excess(figures: Comparison): number;
  /** Whether the others have calls enough to deny what the one cell says of the canary. */
  canDeny(others: Comparison, cell: Comparison): boolean;
}

/** Findings about a fault: `unclear` when one cell has it, and the others have too few calls. */
interface Finding {
  says: "no" | "yes" | "unclear";
  /** The calls of all cells but the one that speaks most against the canary. */
  others: WatchCounts | null;
}

/**
 * Judges a canary. Errors decide at any time: they count as if there were `minCalls` calls at
 * least, so that a canary is taken back as soon as it would be, even if the rest went well. All
 * else is decided after the window, once both versions have enough calls.
 *
 * A cell is left out when the others have calls enough to deny what it says; from then on the
 * canary is judged as if its clients had never called. While they have too few, errors wait for the
 * end of the window, and count then. Where all calls are of one cell, most likely one client makes
 * them all, and there is nobody else to ask: its errors count once others had time to call.
 * @returns null while nothing is decided.
 */
export function judge(watch: CanaryWatch, counts: WatchCounts, afterMs: number): Verdict | null {
  const { windowMs, minCalls } = watch;
  const decided = (kind: Verdict["kind"], reason: VerdictReason, others: WatchCounts | null): Verdict => {
    const cells = cellsOf(counts).length;
    const figures = { reason, afterMs, ...compared(counts), cells, others: others && compared(others) };
    return { kind, figures, message: messageOf(kind, figures) };
  };
  const isOver = afterMs >= windowMs;
  const failing = find(moreErrors(watch), counts);
  const isHeard = failing.others !== null || afterMs >= ALONE_MS;
  if (isOver ? failing.says !== "no" : failing.says === "yes" && isHeard) {
    return decided("auto-rollback", "errors", failing.others);
  }
  if (!isOver) return null;
  const judged = failing.others ?? counts;
  const { base, canary } = compared(judged);
  if (Math.min(base.calls, canary.calls) < minCalls) {
    return afterMs < windowMs * MAX_WINDOWS ? null : decided("auto-rollback", "too-few-calls", failing.others);
  }
  const slow = find(slower(minCalls), judged);
  if (slow.says !== "no") return decided("auto-rollback", "slow", slow.others ?? failing.others);
  return decided("auto-promote", "healthy", slow.others ?? failing.others);
}

function moreErrors({ maxErrorPercent, minCalls }: CanaryWatch): Fault {
  const excess = ({ base, canary }: Comparison): number => {
    const baseShare = base.errors / Math.max(1, base.calls);
    const canaryShare = canary.errors / Math.max(minCalls, canary.calls);
    return (canaryShare - baseShare) * 100 - maxErrorPercent;
  };
  return {
    excess,
    // Had the others failed as that cell did, it would be seen.
    canDeny({ base, canary }, cell) {
      const errors = (canary.calls * cell.canary.errors) / Math.max(1, cell.canary.calls);
      return excess({ base, canary: { ...canary, errors } }) > 0;
    },
  };
}

function slower(minCalls: number): Fault {
  return {
    excess({ base, canary }) {
      if (canary.p99Ms === null || base.p99Ms === null) return Number.NEGATIVE_INFINITY;
      return canary.p99Ms - Math.max(base.p99Ms * SLOWER_FACTOR, base.p99Ms + SLOWER_MS);
    },
    canDeny: ({ base, canary }) => Math.min(base.calls, canary.calls) >= minCalls,
  };
}

/** Looks for a fault in all calls, and then without each cell. */
function find({ excess, canDeny }: Fault, counts: WatchCounts): Finding {
  if (excess(compared(counts)) <= 0) return { says: "no", others: null };
  const cells = cellsOf(counts);
  if (cells.length < 2) return { says: "yes", others: null };
  const trials = cells.map((cell) => {
    const others = only(counts, (one) => one !== cell);
    const [figures, alone] = [compared(others), compared(only(counts, (one) => one === cell))];
    return { others, excess: excess(figures), canDeny: canDeny(figures, alone) };
  });
  trials.sort((one, other) => one.excess - other.excess);
  const denying = trials.find((trial) => trial.excess <= 0 && trial.canDeny);
  if (denying !== undefined) return { says: "no", others: denying.others };
  const [worst] = trials;
  if (worst === undefined || worst.excess > 0) return { says: "yes", others: worst?.others ?? null };
  return { says: "unclear", others: worst.others };
}

/** The cells whose clients called. */
function cellsOf({ base, canary }: WatchCounts): string[] {
  return [...new Set([...Object.keys(base), ...Object.keys(canary)])];
}

function only({ base, canary }: WatchCounts, isMeant: (cell: string) => boolean): WatchCounts {
  const of = (cells: CountsByCell) => Object.fromEntries(Object.entries(cells).filter(([cell]) => isMeant(cell)));
  return { base: of(base), canary: of(canary) };
}

function compared({ base, canary }: WatchCounts): Comparison {
  return { base: figuresOf(base), canary: figuresOf(canary) };
}

function figuresOf(cells: CountsByCell): VersionFigures {
  const { calls, errors, times } = Object.values(cells).reduce(plus, noCalls());
  return { calls, errors, p99Ms: p99Of(times) };
}

/** Adds calls to a sum. */
function plus(sum: CallCounts, { calls, errors, times }: CallCounts): CallCounts {
  for (const [bucket, count] of Object.entries(times)) sum.times[bucket] = (sum.times[bucket] ?? 0) + count;
  return { calls: sum.calls + calls, errors: sum.errors + errors, times: sum.times };
}

const REASON_TEXT: Record<VerdictReason, string> = {
  healthy: "no worse than the version before",
  errors: "more errors than the version before",
  slow: "slower than the version before",
  "too-few-calls": "too few calls to judge by",
};

function messageOf(kind: Verdict["kind"], { reason, cells, others, ...all }: WatchFigures): string {
  const what = `${kind === "auto-promote" ? "promoted" : "taken back"}: ${REASON_TEXT[reason]}`;
  const rest = others && `; without the worst of ${cells} cells of clients: ${comparisonText(others)}`;
  return `${what}; ${comparisonText(all)}${rest ?? `; ${cells} ${cells === 1 ? "cell" : "cells"} of clients`}`;
}

function comparisonText({ base, canary }: Comparison): string {
  return `canary ${figuresText(canary)}, before ${figuresText(base)}`;
}

function figuresText({ calls, errors, p99Ms }: VersionFigures): string {
  return `${calls} calls, ${errors} errors, p99 ${p99Ms === null ? "-" : `${p99Ms} ms`}`;
}
