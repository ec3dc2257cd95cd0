/**
 * How many calls a second larger machines would answer: a model of costs that were measured, and no
 * measurement. docs/BENCHMARKS.md says what it assumes ("Larger machines").
 */

const MS_PER_SECOND = 1_000;

/** Processor time for one call, in milliseconds. */
export interface CallCosts {
  /** How many calls were in flight when this was measured: many share jobs of the queue. */
  readonly inFlight: number;
  readonly gatewayMs: number;
  readonly workerMs: number;
  readonly sandboxesMs: number;
  readonly redisMs: number;
  readonly redisCommands: number;
}

/** All on one network without a price, on processors like those of the measurement. */
export interface Size {
  readonly processors: number;
  readonly gateways: number;
  readonly workers: number;
}

/** The part that has no time left first. */
export type Limit = "processors" | "gateways" | "workers" | "Redis";

export interface Prediction extends Size {
  /** Of the costs that it follows from. */
  readonly inFlight: number;
  readonly callsPerSecond: number;
  readonly limit: Limit;
  /** Part of one processor's time that Redis uses then, 0 to 1. */
  readonly redisShare: number;
  readonly redisCommandsPerSecond: number;
}

/** Sizes that people ask for: each process with a processor or two, and the sandboxes' beside. */
export const LARGER: readonly Size[] = [
  { processors: 2, gateways: 1, workers: 1 },
  { processors: 8, gateways: 2, workers: 2 },
  { processors: 16, gateways: 4, workers: 4 },
  { processors: 32, gateways: 8, workers: 8 },
  { processors: 64, gateways: 16, workers: 16 },
];

/**
 * The most calls a second: what all processors have time for, what the threads of all gateways and
 * of all workers have, or what Redis's one thread has, whichever is least.
 * @param besideMs processor time for one call of what is no part of Sandpiper, on the same
 * processors: the load generator's of a measurement
 */
export function predict(costs: CallCosts, size: Size, besideMs = 0): Prediction {
  const { gatewayMs, workerMs, sandboxesMs, redisMs } = costs;
  const allMs = gatewayMs + workerMs + sandboxesMs + redisMs + besideMs;
  const ceilings: readonly (readonly [Limit, number])[] = [
    ["processors", perSecond(size.processors, allMs)],
    ["gateways", perSecond(Math.min(size.gateways, size.processors), gatewayMs)],
    ["workers", perSecond(Math.min(size.workers, size.processors), workerMs)],
    ["Redis", perSecond(1, redisMs)],
  ];
  const [limit, callsPerSecond] = ceilings.reduce((least, one) => (one[1] < least[1] ? one : least));
  return {
    ...size,
    inFlight: costs.inFlight,
    callsPerSecond,
    limit,
    redisShare: (callsPerSecond * redisMs) / MS_PER_SECOND,
    redisCommandsPerSecond: callsPerSecond * costs.redisCommands,
  };
}

/** Calls that threads have time for. A cost that no tick of the clock saw bounds nothing. */
function perSecond(threads: number, costMs: number): number {
  return costMs > 0 ? (threads * MS_PER_SECOND) / costMs : Infinity;
}
