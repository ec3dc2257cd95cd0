/**
 * The jobs of calls that no worker has taken, as a gateway looks at them. Knows the meaning of two
 * keys of BullMQ's, the list of waiting jobs and the hash of a job; see invocation-queue.ts.
 */
import type { Redis } from "ioredis";
import type { Invocation } from "../model/invocation.ts";
import { linkOf, type RedisLink } from "../redis/link.ts";
import { CALLS, type CallsJob, toOwnTime } from "./calls-job.ts";
import { countListeningWorkers } from "./cancellations.ts";
import { PREFIX } from "./queue-options.ts";

const WAITING = `${PREFIX}:${CALLS}:wait`;
const JOB_PREFIX = `${PREFIX}:${CALLS}:`;
/** Most jobs that are taken back in one command. */
const MAX_TAKEN = 64;

/**
 * KEYS: list of waiting jobs. ARGV: prefix of jobs, text that is in the jobs to take, most jobs.
 * Takes jobs out of the queue; gives their data. A job in the list has no owner and no lock.
 */
const TAKE_BACK = `
local taken = {}
for _, id in ipairs(redis.call("LRANGE", KEYS[1], 0, -1)) do
  if #taken == tonumber(ARGV[3]) then break end
  local data = redis.call("HGET", ARGV[1] .. id, "data")
  if data and string.find(data, ARGV[2], 1, true) then
    redis.call("LREM", KEYS[1], 1, id)
    redis.call("DEL", ARGV[1] .. id)
    taken[#taken + 1] = data
  end
end
return taken`;

export interface Look {
  /** How many jobs wait. */
  jobs: number;
  /** Whether a job waits that waited at the look before: workers have no room, or are gone. */
  stands: boolean;
  /** How many workers have a connection to Redis. */
  connectedWorkers: number;
}

export class Backlog {
  readonly #redis: Redis;
  readonly #link: RedisLink;
  /** The job that had come last at the last look. */
  #latest: string | null = null;

  constructor(redis: Redis) {
    this.#redis = redis;
    this.#link = linkOf(redis);
  }

  /** @throws what ioredis throws when Redis does not answer */
  async look(): Promise<Look> {
    const before = this.#latest;
    const [jobs, latest, place, connectedWorkers] = await Promise.all([
      this.#redis.llen(WAITING),
      this.#redis.lindex(WAITING, 0),
      before === null ? null : this.#redis.lpos(WAITING, before),
      countListeningWorkers(this.#redis),
    ]);
    this.#latest = latest;
    return { jobs, stands: place !== null, connectedWorkers };
  }

  /** Forgets the last look. */
  reset(): void {
    this.#latest = null;
  }

  /**
   * Takes the calls of a gateway back that no worker has taken: none of them has begun, or will.
   * @throws what ioredis throws when Redis does not answer
   */
  async takeBack(gatewayId: string): Promise<Invocation[]> {
    const calls: Invocation[] = [];
    for (;;) {
      const text = `"replyTo":${JSON.stringify(gatewayId)}`;
      const taken = (await this.#redis.eval(TAKE_BACK, 1, WAITING, JOB_PREFIX, text, MAX_TAKEN)) as string[];
      const jobs = taken.map((data) => JSON.parse(data) as CallsJob);
      for (const job of jobs) calls.push(...job.calls.map((call) => toOwnTime(call, this.#link.clock)));
      if (taken.length < MAX_TAKEN) return calls;
    }
  }
}
