/**
 * Tasks that a gateway has a worker do, and their results on the way back: builds and checks of
 * versions, which are rare and take long.
 */
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { type Job, Queue, Worker } from "bullmq";
import type { Redis, RedisOptions } from "ioredis";
import { settledWithin } from "../../infra/std/time.ts";
import { type ErrorCode, SandpiperError } from "../model/errors.ts";
import { connectionLike, FAIL_FAST, PATIENT } from "../redis/connections.ts";
import { linkOf } from "../redis/link.ts";
import { CLOSE_REDIS_MS, LOCK_MS, NO_EVENTS, PREFIX, renewMeta } from "./queue-options.ts";

/** How long a worker has Redis wait for a task; a connection that waits gives no sign of life. */
const BLOCK_SECONDS = 1;
/**
 * Pauses of a gateway that asks for a result: a part of the time that the task has taken, so that
 * the answer is late by no more than that.
 */
const POLL = { shortestMs: 5, part: 1 / 8, longestMs: 250 };

/** A kind of task. */
export interface TaskKind {
  /** Of its queue. */
  name: string;
  /** How long a task may take, and wait for a worker, together. */
  limitMs: number;
  /** Code of the error when no worker did one in that time. */
  unavailable: ErrorCode;
  /** Most tasks that a worker does at once. */
  atOnce: number;
}

/** The gateway's end of tasks. */
export class TaskQueue<Request, Result> {
  readonly #kind: TaskKind;
  readonly #redis: Redis;
  readonly #queue: Queue<Request, Result, string>;

  constructor(redis: Redis, kind: TaskKind) {
    this.#kind = kind;
    this.#redis = connectionLike(redis, FAIL_FAST);
    // A result stays until whoever asked has seen it.
    const defaultJobOptions = { attempts: 1, removeOnComplete: { age: 60 }, removeOnFail: { age: 60 } };
    const options = { connection: this.#redis, prefix: PREFIX, defaultJobOptions, streams: NO_EVENTS };
    this.#queue = new Queue<Request, Result, string>(kind.name, options);
    this.#queue.on("error", () => {});
    renewMeta(this.#queue, linkOf(redis));
  }

  /** Resolves when tasks can be given for the first time. */
  async ready(): Promise<void> {
    await this.#queue.waitUntilReady();
  }

  /**
   * Has a worker do a task.
   * @throws SandpiperError with the kind's code when no worker did in `limitMs`, QUEUE_UNAVAILABLE
   * when Redis is away.
   */
  protected async do(request: Request, limitMs = this.#kind.limitMs): Promise<Result> {
    try {
      if (this.#redis.status !== "ready") throw new Error("The connection to Redis is lost.");
      // A number would come again when Redis goes back in time, with the result of another's task.
      const jobId = randomUUID();
      await this.#queue.add(this.#kind.name as never, request as never, { jobId });
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
   * Asks again and again: tasks are rare, and an answer that is asked for outlives any broken
   * connection.
   */
  async #result(id: string, deadlineMs: number): Promise<Result> {
    const beganMs = performance.now();
    for (;;) {
      const pauseMs = POLL.part * (performance.now() - beganMs);
      await setTimeout(Math.min(POLL.longestMs, Math.max(POLL.shortestMs, pauseMs)));
      const job = await this.#queue.getJob(id);
      if (job?.finishedOn !== undefined && job.failedReason === undefined) return job.returnvalue as Result;
      if (job?.finishedOn === undefined && job && performance.now() < deadlineMs) continue;
      // Nobody waits for the job any more. A job cannot be removed while a worker has it, and ends
      // by itself then.
      await job?.remove().catch(() => {});
      throw new SandpiperError(this.#kind.unavailable, { details: { reason: job?.failedReason ?? "timed out" } });
    }
  }
}

/**
 * The worker's end of tasks. A task whose worker dies is tried once more by another: it changes
 * nothing outside.
 */
export class TaskWorker<Request, Result> {
  readonly #redis: Redis;
  /** The connection that waits for tasks. */
  #waiting: Redis | undefined;
  readonly #worker: Worker<Request, Result>;
  /** Those at work. */
  readonly #underWay = new Set<Promise<Result>>();

  /** @param work does a task; what it rejects with becomes the kind's error at the gateway. */
  constructor(
    redis: Redis,
    kind: TaskKind,
    work: (request: Request) => Promise<Result>,
    onError: (error: Error) => void = () => {},
  ) {
    this.#redis = connectionLike(redis, PATIENT);
    // BullMQ makes the connection that waits for tasks itself.
    const waiting = (options?: Partial<RedisOptions>): Redis => {
      this.#waiting = connectionLike(redis, { ...PATIENT, ...options }, BLOCK_SECONDS);
      return this.#waiting;
    };
    this.#redis.duplicate = waiting as Redis["duplicate"];
    this.#worker = new Worker(kind.name, (job: Job<Request, Result>) => this.#do(work(job.data)), {
      connection: this.#redis,
      prefix: PREFIX,
      autorun: false,
      concurrency: kind.atOnce,
      drainDelay: BLOCK_SECONDS,
      lockDuration: LOCK_MS * 2,
      stalledInterval: LOCK_MS,
      maxStalledCount: 1,
    });
    this.#worker.on("error", onError);
  }

  /** Begins to take tasks. */
  start(): void {
    void this.#worker.run().catch(() => {});
  }

  /** Takes no more tasks, and resolves when those at work have ended. */
  async close(): Promise<void> {
    const closed = this.#worker.close();
    await Promise.allSettled([...this.#underWay]);
    // BullMQ waits for ever where Redis came back a moment ago.
    await settledWithin(CLOSE_REDIS_MS, closed);
    this.#waiting?.disconnect();
    this.#redis.disconnect();
  }

  async #do(result: Promise<Result>): Promise<Result> {
    this.#underWay.add(result);
    try {
      return await result;
    } finally {
      this.#underWay.delete(result);
    }
  }
}
