/**
 * When a waiting call is better off with one of its version's instances, as soon as that is free,
 * than with one more: each further process competes for the same processors, and its code is cold.
 */
import { availableParallelism } from "node:os";

/** With fewer instances than this there is no waiting. */
const ENOUGH_INSTANCES = Math.max(2, availableParallelism());
/**
 * About the cost of one more instance on a busy machine. A call whose turn comes later than that
 * gets an instance of its own after so much waiting: its function waits for something else than a
 * processor.
 */
export const WAIT_MS = 100;
/**
 * However soon its turn seems to come, no call waits longer than this while there is room for an
 * instance.
 */
const LONGEST_WAIT_MS = 1_000;
/** The weight of the latest call in a version's mean. */
const LATEST_WEIGHT = 0.2;

/**
 * The mean time of a call of which nothing is known yet: long, so that no call waits on its
 * account.
 */
export const UNKNOWN_CALL_MS = 1_000;
/**
 * A call goes to an instance ahead of its turn when that is near: sooner than an instance could be
 * made.
 */
const NEAR_TURN_MS = 25;

/** A version that is slow to load must not take every place of the worker. */
const MOST_STARTS = 4;

/**
 * How many instances of a version may be on their way at once. Of one that was never loaded here a
 * single one: loading may take long and all of a processor, and what many calls wait for comes
 * later when it is done many times at once. No more than there are processors for, either.
 */
export function mostStarts({ loading }: { loading: Loading | null }): number {
  return loading === null ? 1 : Math.min(MOST_STARTS, ENOUGH_INSTANCES);
}

/** A loading that is over. */
interface Loading {
  endedAtMs: number;
  tookMs: number;
}

/**
 * Whether what a new instance is for may be done by those there are before it would be there: for
 * as long as the last one took to load, while calls get their turns. Times are those of
 * `performance.now()`.
 */
export function isSettling(
  pooledVersion: { loading: Loading | null; offeredAtMs: number },
  nowMs: number = performance.now(),
): boolean {
  const { loading, offeredAtMs } = pooledVersion;
  if (loading === null || nowMs - offeredAtMs > WAIT_MS) return false;
  return nowMs - loading.endedAtMs < Math.min(loading.tookMs, LONGEST_WAIT_MS);
}

export interface Queueing {
  /** Instances of the version, those on their way included. */
  instances: number;
  /** Calls of the version that wait for longer. */
  before: number;
  waitedMs: number;
  meanCallMs: number;
  /** Whether the instances want more processor time than there is: see `CpuPressure`. */
  wantsMoreCpu: boolean;
  /**
   * Whether the worker itself does: then calls wait for it as well, and one more instance is one
   * more to serve. Not for long: what waits may be calls of a function that waits for something
   * else, while those of others keep the worker busy.
   */
  isWorkerFull: boolean;
}

export function shouldWait(queueing: Queueing): boolean {
  const { instances, before, waitedMs, meanCallMs, wantsMoreCpu, isWorkerFull } = queueing;
  if (instances < ENOUGH_INSTANCES) return false;
  if (wantsMoreCpu) return true;
  const turnInMs = ((before + 1) * meanCallMs) / instances;
  return waitedMs < (isWorkerFull || turnInMs < WAIT_MS ? LONGEST_WAIT_MS : WAIT_MS);
}

/**
 * Whether a call should be sent to an instance ahead of its turn, rather than wait in the pool: a
 * process that has its next call already need not sleep and be woken for it, which takes longer
 * than a short call does.
 * @param ahead how many calls the instance has.
 */
export function shouldSendAhead({
  instances,
  ahead,
  meanCallMs,
}: {
  instances: number;
  ahead: number;
  meanCallMs: number;
}): boolean {
  return instances >= ENOUGH_INSTANCES && ahead * meanCallMs < NEAR_TURN_MS;
}

/** The mean with one more call in it. */
export function nextMean(meanMs: number, callMs: number): number {
  return meanMs + LATEST_WEIGHT * (callMs - meanMs);
}
