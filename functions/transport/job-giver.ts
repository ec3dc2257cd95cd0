/** Gives calls back to the queue, for other workers. */
import { type Job, Queue } from "bullmq";
import type { Redis } from "ioredis";
import type { Invocation } from "../model/invocation.ts";
import { connectionLike, NEVER_TWICE } from "../redis/connections.ts";
import { CALLS, type CallsJob, JOB_OPTIONS, newJobId } from "./calls-job.ts";
import { NO_EVENTS, PREFIX } from "./queue-options.ts";

/** Has a connection of its own, which never sends the same calls twice: they would run twice. */
export class JobGiver {
  readonly #redis: Redis;
  readonly #queue: Queue<CallsJob>;

  /** @param redis says where Redis is. */
  constructor(redis: Redis) {
    this.#redis = connectionLike(redis, NEVER_TWICE);
    const options = { connection: this.#redis, prefix: PREFIX, streams: NO_EVENTS };
    this.#queue = new Queue<CallsJob>(CALLS, { ...options, defaultJobOptions: JOB_OPTIONS });
    this.#queue.on("error", () => {});
  }

  /**
   * Makes the rest of a job's calls a job of its own at the queue's head, and this job's no more,
   * lest they count as lost with it.
   * @throws what ioredis throws when Redis does not answer: the rest may be back or not.
   */
  async putBack(job: Job<CallsJob>, kept: Invocation[], rest: Invocation[]): Promise<void> {
    await this.#queue.add("calls", { ...job.data, calls: rest }, { lifo: true, ...newJobId() });
    if (kept.length > 0) await job.updateData({ ...job.data, calls: kept });
  }

  /** Resolves when the connection has ended. */
  async close(): Promise<void> {
    await this.#queue.close();
    this.#redis.disconnect();
  }
}
