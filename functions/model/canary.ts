/**
 * Canaries that watch themselves: two versions of an alias are counted beside each other, and the
 * figures decide whether the second gets all calls, or none.
 */

/** The terms of a watch, as the alias keeps them. */
export interface CanaryWatch {
  /** Time until the canary is judged, in milliseconds. */
  windowMs: number;
  /** Percent of calls that may fail beyond those of the other version. */
  maxErrorPercent: number;
  /** Calls of each version without which nobody judges. */
  minCalls: number;
}

export const DEFAULT_WATCH: CanaryWatch = { windowMs: 600_000, maxErrorPercent: 5, minCalls: 50 };
export const MIN_WINDOW_MS = 1_000;
export const MAX_WINDOW_MS = 7 * 86_400_000;
export const MAX_MIN_CALLS = 1_000_000;

/** Windows that a canary with too few calls waits in all, before it is taken back. */
export const MAX_WINDOWS = 3;
/** A canary may be slower by this factor at the 99th percentile, or by so many milliseconds. */
const SLOWER_FACTOR = 1.5;
const SLOWER_MS = 10;

/** Buckets of handler times for each doubling, from one millisecond on. */
const BUCKETS_PER_DOUBLING = 8;
/** The last bucket has all that took longer: twenty doublings are 17 minutes. */
const LAST_BUCKET = 20 * BUCKETS_PER_DOUBLING;

/** The calls of one version since its watch began. */
export interface CallCounts {
  calls: number;
  /** Of these, calls that failed. */
  errors: number;
  /** Calls that went well, by the bucket of their handler's time. */
  times: Record<string, number>;
}

/** The calls of both versions. */
export interface WatchCounts {
  base: CallCounts;
  canary: CallCounts;
}

/** The figures of one version that decided. */
export interface VersionFigures {
  calls: number;
  errors: number;
  /** 99th percentile of the handler's time; null without a call that went well. */
  p99Ms: number | null;
}

/** Reasons of a decision. */
export const VERDICTS = ["healthy", "errors", "slow", "too-few-calls"] as const;
export type VerdictReason = (typeof VERDICTS)[number];

/** The figures that decided, as the history keeps them. */
export interface WatchFigures {
  reason: VerdictReason;
  /** Time since the watch began. */
  afterMs: number;
  base: VersionFigures;
  canary: VersionFigures;
}

/** A decision about a canary. */
export interface Verdict {
  kind: "auto-promote" | "auto-rollback";
  /** One sentence with the figures. */
  message: string;
  figures: WatchFigures;
}

export function noCalls(): CallCounts {
  return { calls: 0, errors: 0, times: {} };
}

/** The bucket of a time. */
export function bucketOf(timeMs: number): number {
  if (!(timeMs > 1)) return 0;
  return Math.min(LAST_BUCKET, Math.ceil(Math.log2(timeMs) * BUCKETS_PER_DOUBLING));
}

/** The longest time of a bucket, in milliseconds. */
function boundOf(bucket: number): number {
  return Math.round(2 ** (bucket / BUCKETS_PER_DOUBLING) * 10) / 10;
}

function p99Of(times: Readonly<Record<string, number>>): number | null {
  const buckets = Object.entries(times).map(([bucket, count]) => [Number(bucket), count] as const);
  const total = buckets.reduce((sum, [, count]) => sum + count, 0);
  let below = 0;
  for (const [bucket, count] of buckets.sort(([one], [other]) => one - other)) {
    below += count;
    if (below >= total * 0.99) return boundOf(bucket);
  }
  return null;
}

function figuresOf({ calls, errors, times }: CallCounts): VersionFigures {
  return { calls, errors, p99Ms: p99Of(times) };
}

/**
 * Judges a canary. Errors decide at any time: they count as if there were `minCalls` calls at
 * least, so that a canary is taken back as soon as it would be, even if the rest went well. All
 * else is decided after the window, once both versions have enough calls.
 * @returns null while nothing is decided.
 */
export function judge(watch: CanaryWatch, counts: WatchCounts, afterMs: number): Verdict | null {
  const { windowMs, maxErrorPercent, minCalls } = watch;
  const [base, canary] = [figuresOf(counts.base), figuresOf(counts.canary)];
  const decided = (kind: Verdict["kind"], reason: VerdictReason): Verdict => {
    const figures = { reason, afterMs, base, canary };
    return { kind, figures, message: messageOf(kind, figures) };
  };
  const baseShare = base.errors / Math.max(1, base.calls);
  const canaryShare = canary.errors / Math.max(minCalls, canary.calls);
  if ((canaryShare - baseShare) * 100 > maxErrorPercent) return decided("auto-rollback", "errors");
  if (afterMs < windowMs) return null;
  if (Math.min(base.calls, canary.calls) < minCalls) {
    return afterMs < windowMs * MAX_WINDOWS ? null : decided("auto-rollback", "too-few-calls");
  }
  return isSlower(canary, base) ? decided("auto-rollback", "slow") : decided("auto-promote", "healthy");
}

function isSlower(canary: VersionFigures, base: VersionFigures): boolean {
  if (canary.p99Ms === null || base.p99Ms === null) return false;
  return canary.p99Ms > Math.max(base.p99Ms * SLOWER_FACTOR, base.p99Ms + SLOWER_MS);
}

const REASON_TEXT: Record<VerdictReason, string> = {
  healthy: "no worse than the version before",
  errors: "more errors than the version before",
  slow: "slower than the version before",
  "too-few-calls": "too few calls to judge by",
};

function messageOf(kind: Verdict["kind"], { reason, base, canary }: WatchFigures): string {
  const what = kind === "auto-promote" ? "promoted" : "taken back";
  return `${what}: ${REASON_TEXT[reason]}; canary ${figuresText(canary)}, before ${figuresText(base)}`;
}

function figuresText({ calls, errors, p99Ms }: VersionFigures): string {
  return `${calls} calls, ${errors} errors, p99 ${p99Ms === null ? "-" : `${p99Ms} ms`}`;
}
