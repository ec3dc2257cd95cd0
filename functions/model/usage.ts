/** The use that functions make of the machine, counted for each hour of UTC. */

/**
 * Counters of a function in an hour, whole numbers: calls whose handler began; microseconds of
 * processor time; MiB of memory times milliseconds; bytes of the bodies of requests and replies.
 */
export const USAGE_COUNTERS = ["calls", "cpuUs", "memoryMibMs", "bytesIn", "bytesOut"] as const;
export type UsageCounter = (typeof USAGE_COUNTERS)[number];
export type UsageCounts = Record<UsageCounter, number>;

/** The counter of a tenant's bytes of bodies, in and out, of all its functions together. */
export const BODY_BYTES = "bodyBytes";

/** The counters of a function in the hour that begins at that Unix time. */
export interface HourUsage {
  tenant: string;
  functionName: string;
  hourMs: number;
  counts: UsageCounts;
}

/** Milliseconds of an hour. */
export const HOUR_MS = 3_600_000;

/** The Unix time in milliseconds at which the hour of another one begins. */
export function hourOf(timeMs: number): number {
  return Math.floor(timeMs / HOUR_MS) * HOUR_MS;
}

/** Counters of nothing yet. */
export function noUsage(): UsageCounts {
  return { calls: 0, cpuUs: 0, memoryMibMs: 0, bytesIn: 0, bytesOut: 0 };
}
