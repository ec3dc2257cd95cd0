/** The job in which calls travel from a gateway to a worker. */
import { randomUUID } from "node:crypto";
import type { Invocation } from "../model/invocation.ts";
import type { RedisClock } from "../redis/clock.ts";
import type { ServerRun } from "../redis/server-run.ts";

export const CALLS = "calls";
export const JOB_OPTIONS = { attempts: 1, removeOnComplete: true, removeOnFail: true };

/** BullMQ's own numbers would come again when Redis goes back in time. */
export const newJobId = (): { jobId: string } => ({ jobId: randomUUID() });

export interface CallsJob {
  /** In a job their times are by Redis's clock: gateways and workers have no other in common. */
  calls: Invocation[];
  /** The run of Redis that the gateway gave the job to, where that is known. */
  run?: string | undefined;
}

/** A call with its times by Redis's clock, made of one with times by this machine's. */
export function toRedisTime(call: Invocation, { aheadMs }: RedisClock): Invocation {
  return moved(call, -aheadMs);
}

/** A call with its times by this machine's clock, made of one with times by Redis's. */
export function toOwnTime(call: Invocation, { aheadMs }: RedisClock): Invocation {
  return moved(call, aheadMs);
}

function moved(call: Invocation, byMs: number): Invocation {
  if (byMs === 0) return call;
  return { ...call, enqueuedAtMs: call.enqueuedAtMs + byMs, expiresAtMs: call.expiresAtMs + byMs };
}

/** The start of a run is known to a second. */
const START_ERROR_MS = 1_000;

/**
 * Whether a job was given to a Redis that has ended since. Its gateways saw that, and have told
 * their callers. A job may be there again although its calls ran, as the end of Redis's file may be
 * lost. Behind a proxy each connection may see a run of its own: the name alone proves nothing.
 */
export function isOfEarlierRun({ calls, run }: CallsJob, now: ServerRun | null): boolean {
  if (run === undefined || now === null || run === now.id) return false;
  return calls.every(({ enqueuedAtMs }) => enqueuedAtMs < now.startedAtMs + START_ERROR_MS);
}
