/** Spares workers the search for jobs that are not there. Knows two keys of BullMQ's; see queue.ts. */
import type { Redis } from "ioredis";

/** KEYS: list of waiting jobs, marker. Gives how many wait. */
const JOBS_WAIT = `
local count = redis.call("LLEN", KEYS[1])
if count == 0 then redis.call("ZREM", KEYS[2], "0") end
return count`;

/**
 * Whether jobs wait, asked behind everything that this turn of the event loop asks of Redis: behind the request for a job, so
 * that both answers wake this process once. When there are none, the marker goes that would wake a worker for them: BullMQ
 * sets it with every job that is taken, so that each worker would look for one more in vain, which is as much work as the job.
 */
export async function jobsWait(redis: Redis, { wait = "", marker = "" }: Record<string, string>): Promise<boolean> {
  await new Promise<void>((resolve) => process.nextTick(resolve));
  return (await redis.eval(JOBS_WAIT, 2, wait, marker)) !== 0;
}
