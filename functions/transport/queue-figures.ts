/**
 * Lengths and ages of the queues, read when somebody asks. Knows keys of BullMQ's; see
 * invocation-queue.ts.
 */
import type { Redis } from "ioredis";
import { PREFIX } from "./queue-options.ts";

export interface QueueFigures {
  /** Jobs that no worker has; one may hold several calls. */
  waiting: number;
  /** Jobs at workers. */
  active: number;
  /** How long the job has waited that waits longest. */
  oldestMs: number;
}

/** KEYS: waiting jobs. ARGV: prefix of jobs. Gives the time of Redis, and when both ends began. */
const ENDS = `
local time = redis.call("TIME")
local found = { time[1] * 1000 + math.floor(time[2] / 1000) }
for _, at in ipairs({ 0, -1 }) do
  local id = redis.call("LINDEX", KEYS[1], at)
  local began = id and redis.call("HGET", ARGV[1] .. id, "timestamp")
  if began then found[#found + 1] = tonumber(began) end
end
return found`;

/** Figures of one queue. @throws what ioredis throws when Redis does not answer. */
export async function queueFigures(redis: Redis, name: "calls" | "builds"): Promise<QueueFigures> {
  const jobs = `${PREFIX}:${name}:`;
  const [waiting, active, ends] = await Promise.all([
    redis.llen(`${jobs}wait`),
    redis.llen(`${jobs}active`),
    redis.eval(ENDS, 1, `${jobs}wait`, jobs) as Promise<number[]>,
  ]);
  const [nowMs = 0, ...began] = ends;
  return { waiting, active, oldestMs: Math.max(0, nowMs - Math.min(nowMs, ...began)) };
}
