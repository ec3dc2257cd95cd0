/**
 * When a waiting call is better off with one of its version's instances, as soon as that is free, than with one more:
 * each further process competes for the same processors, and its code is cold.
 */
import { availableParallelism } from "node:os";

/** With fewer instances than this there is no waiting. */
const ENOUGH_INSTANCES = Math.max(2, availableParallelism());
/**
 * About what one more instance costs on a busy machine. A call whose turn comes later than that gets an instance of its
 * own after so much waiting: its function waits for something else than a processor.
 */
export const PATIENCE_MS = 100;
/** However soon its turn seems to come, no call waits longer than this while there is room for an instance. */
const LONGEST_PATIENCE_MS = 1_000;
/** The weight of the latest call in a version's mean. */
const LATEST_WEIGHT = 0.2;

/** The mean time of a lease of which nothing is known yet: long, so that no call waits on its account. */
export const UNKNOWN_LEASE_MS = 1_000;

export interface Queueing {
  /** Instances of the version, those on their way included. */
  instances: number;
  /** Calls of the version that wait for longer. */
  before: number;
  waitedMs: number;
  meanLeaseMs: number;
}

export function shouldWait({ instances, before, waitedMs, meanLeaseMs }: Queueing): boolean {
  if (instances < ENOUGH_INSTANCES) return false;
  const turnInMs = ((before + 1) * meanLeaseMs) / instances;
  return waitedMs < (turnInMs < PATIENCE_MS ? LONGEST_PATIENCE_MS : PATIENCE_MS);
}

/** The mean with one more lease in it. */
export function nextMean(meanMs: number, leaseMs: number): number {
  return meanMs + LATEST_WEIGHT * (leaseMs - meanMs);
}
