/**
 * Canaries that watch themselves: two versions of an alias are counted beside each other, and the
 * figures decide whether the second gets all calls, or none (canary-verdict.ts).
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

/**
 * The calls of one version by the cell of their clients. A client is always in the same cell, which
 * it cannot choose, so that what one client does is in one cell.
 */
export type CountsByCell = Record<string, CallCounts>;
export const CELLS = 16;

/** The calls of both versions. */
export interface WatchCounts {
  base: CountsByCell;
  canary: CountsByCell;
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

/** The figures of both versions. */
export interface Comparison {
  base: VersionFigures;
  canary: VersionFigures;
}

/** The figures that decided, as the history keeps them. */
export interface WatchFigures extends Comparison {
  reason: VerdictReason;
  /** Time since the watch began. */
  afterMs: number;
  /** Cells of clients that called. */
  cells: number;
  /** The figures without the cell that spoke most against the canary; null: nobody left one out. */
  others: Comparison | null;
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

/** The 99th percentile of times, in milliseconds; null when there are none. */
export function p99Of(times: Readonly<Record<string, number>>): number | null {
  const buckets = Object.entries(times).map(([bucket, count]) => [Number(bucket), count] as const);
  const total = buckets.reduce((sum, [, count]) => sum + count, 0);
  let below = 0;
  for (const [bucket, count] of buckets.sort(([one], [other]) => one - other)) {
    below += count;
    if (below >= total * 0.99) return boundOf(bucket);
  }
  return null;
}
