/** Builds, carried from a gateway to a worker and their results back. */

import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { type Job, Queue, Worker } from "bullmq";
import type { Redis, RedisOptions } from "ioredis";
import { backoffMs, settledWithin } from "../../infra/std/time.ts";
import { BUILD_LIMIT_MS, type BuildRequest, type BuildResult } from "../model/build.ts";
import { SandpiperError } from "../model/errors.ts";
import { connectionLike, FAIL_FAST, PATIENT } from "../redis/connections.ts";
import { linkOf } from "../redis/link.ts";
import { CLOSE_REDIS_MS, LOCK_MS, NO_EVENTS, PREFIX, renewMeta } from "./queue-options.ts";

const BUILDS = "builds";
/** How long a worker has Redis wait for a build; a connection that waits gives no sign of life. */
const BLOCK_SECONDS = 1;
/** Pauses before a gateway asks for a result. */
const POLL = { firstMs: 10, longestMs: 250 };

/** The gateway's end of builds. */
export class BuildQueue {
  readonly #redis: Redis;
  readonly #queue: Queue<BuildRequest, BuildResult>;

  constructor(redis: Redis) {
    this.#redis = connectionLike(redis, FAIL_FAST);
    // A result stays until whoever asked has seen it.
    const defaultJobOptions = { attempts: 1, removeOnComplete: { age: 60 }, removeOnFail: { age: 60 } };
    this.#queue = new Queue(BUILDS, { connection: this.#redis, prefix: PREFIX, defaultJobOptions, streams: NO_EVENTS });
    this.#queue.on("error", () => {});
    renewMeta(this.#queue, linkOf(redis));
  }

  /** Resolves when builds can be asked for for the first time. */
  async ready(): Promise<void> {
    await this.#queue.waitUntilReady();
  }

  /**
   * Has a worker make a bundle.
   * @throws SandpiperError BUILD_UNAVAILABLE when no worker did in `limitMs`, QUEUE_UNAVAILABLE
   * when Redis is away.
   */
  async build(request: BuildRequest, limitMs = BUILD_LIMIT_MS): Promise<BuildResult> {
    try {
      if (this.#redis.status !== "ready") throw new Error("The connection to Redis is lost.");
      // A number would come again when Redis goes back in time, with the result of another's build.
      const jobId = randomUUID();
      await this.#queue.add("build", request, { jobId });
      return await this.#result(jobId, performance.now() + limitMs);
    } catch (cause) {
      throw cause instanceof SandpiperError ? cause : new SandpiperError("QUEUE_UNAVAILABLE", { cause });
    }
  }

  async close(): Promise<void> {
    this.#redis.disconnect();
    await this.#queue.close();
  }

  /**
   * Asks again and again: builds are rare, and an answer that is asked for outlives any broken
   * connection.
   */
  async #result(id: string, deadlineMs: number): Promise<BuildResult> {
    for (let attempt = 1; ; attempt++) {
      await setTimeout(backoffMs(attempt, POLL));
      const job = await this.#queue.getJob(id);
      if (job?.finishedOn !== undefined && job.failedReason === undefined) return job.returnvalue;
      if (job?.finishedOn === undefined && job && performance.now() < deadlineMs) continue;
      // Nobody waits for the job any more. A job cannot be removed while a worker has it, and ends
      // by itself then.
      await job?.remove().catch(() => {});
      throw new SandpiperError("BUILD_UNAVAILABLE", { details: { reason: job?.failedReason ?? "timed out" } });
    }
  }
}

/**
 * The worker's end of builds. A build whose worker dies is tried once more by another: it changes
 * nothing outside.
 */
export class BuildWorker {
  readonly #redis: Redis;
  /** The connection that waits for builds. */
  #waiting: Redis | undefined;
  readonly #worker: Worker<BuildRequest, BuildResult>;
  /** The latest build. */
  #building: Promise<BuildResult> | undefined;

  /** @param build makes a bundle; what it rejects with becomes BUILD_UNAVAILABLE at the gateway. */
  constructor(
    redis: Redis,
    build: (request: BuildRequest) => Promise<BuildResult>,
    onError: (error: Error) => void = () => {},
  ) {
    this.#redis = connectionLike(redis, PATIENT);
    // BullMQ makes the connection that waits for builds itself.
    const waiting = (options?: Partial<RedisOptions>): Redis => {
      this.#waiting = connectionLike(redis, { ...PATIENT, ...options }, BLOCK_SECONDS);
      return this.#waiting;
    };
    this.#redis.duplicate = waiting as Redis["duplicate"];
    const work = (job: Job<BuildRequest, BuildResult>): Promise<BuildResult> => {
      const building = build(job.data);
      this.#building = building;
      return building;
    };
    this.#worker = new Worker(BUILDS, work, {
      connection: this.#redis,
      prefix: PREFIX,
      autorun: false,
      drainDelay: BLOCK_SECONDS,
      lockDuration: LOCK_MS * 2,
      stalledInterval: LOCK_MS,
      maxStalledCount: 1,
    });
    this.#worker.on("error", onError);
  }

  /** Begins to take builds, one at a time. */
  start(): void {
    void this.#worker.run().catch(() => {});
  }

  /** Takes no more builds, and resolves when the one at work has ended. */
  async close(): Promise<void> {
    const closed = this.#worker.close();
    await Promise.allSettled([this.#building]);
    // BullMQ waits for ever where Redis came back a moment ago.
    await settledWithin(CLOSE_REDIS_MS, closed);
    this.#waiting?.disconnect();
    this.#redis.disconnect();
  }
}
