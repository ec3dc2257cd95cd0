/**
 * The queue of calls between gateways and workers: BullMQ jobs.
 *
 * Calls that wait at one gateway at the same moment travel in one job, as a job costs about fifty
 * Redis commands. A worker takes only what it has room for, now or in a moment, and puts the rest
 * back at the head. A job is never tried twice: when its worker dies, BullMQ finds its lock
 * expired, and whoever takes it next says of its calls that they are lost.
 */
import { setTimeout } from "node:timers/promises";
import {
  createRedisBackend,
  Job,
  type JobJson,
  Queue,
  type QueueBaseOptions,
  type RedisQueueBackend,
  Worker,
} from "bullmq";
import type { Redis } from "ioredis";
import { LruMap } from "../../infra/std/lru.ts";
import { settledWithin } from "../../infra/std/time.ts";
import { SandpiperError } from "../model/errors.ts";
import type { Invocation } from "../model/invocation.ts";
import { connectionLike, FAIL_FAST, isRedisAway, PATIENT, sendTogether } from "../redis/connections.ts";
import { linkOf, type RedisLink } from "../redis/link.ts";
import { RunOfConnection } from "../redis/server-run.ts";
import { dropBody } from "./bodies.ts";
import { CallSlots } from "./call-slots.ts";
import { CALLS, type CallsJob, isOfEarlierRun, JOB_OPTIONS, newJobId, toOwnTime, toRedisTime } from "./calls-job.ts";
import { Coalescer } from "./coalescer.ts";
import { JobGiver } from "./job-giver.ts";
import { JobTaker } from "./job-taker.ts";
import { CLOSE_REDIS_MS, LOCK_MS, NO_EVENTS, PREFIX, renewMeta } from "./queue-options.ts";

/** Most calls in one job. */
export const MAX_CALLS_PER_JOB = 32;
const RENEW_MS = 1_000;
/** How often each worker looks for jobs whose lock expired. */
const STALLED_CHECK_MS = 1_000;
/** How long nothing is asked of a Redis that refused something. */
const ERROR_PAUSE_MS = 200;
/** How soon it is looked again whether all connections answer, when one did not. */
const NOT_WHOLE_PAUSE_MS = 50;
/** How many jobs are remembered as done although that could not be said. */
const MAX_UNSAID = 1_000;

/** BullMQ's commands over one connection. Whoever owns that hears of its errors. */
function openBackend(name: string, options: QueueBaseOptions): RedisQueueBackend {
  return createRedisBackend(name, options).on("error", () => {});
}

/** The gateway's end. */
export class InvocationQueue {
  readonly #redis: Redis;
  readonly #link: RedisLink;
  readonly #run: RunOfConnection;
  readonly #queue: Queue<CallsJob>;
  readonly #coalescer: Coalescer<Invocation>;

  /**
   * @param redis says where Redis is; the queue has a connection of its own.
   * @param inCourse how many calls wait for their reply now: with many, a call waits a moment for
   * others to go with.
   */
  constructor(redis: Redis, inCourse?: () => number) {
    this.#redis = connectionLike(redis, FAIL_FAST);
    this.#link = linkOf(redis);
    this.#run = new RunOfConnection(this.#redis);
    this.#queue = new Queue<CallsJob>(CALLS, {
      connection: this.#redis,
      prefix: PREFIX,
      defaultJobOptions: JOB_OPTIONS,
      streams: NO_EVENTS,
    });
    this.#queue.on("error", () => {});
    renewMeta(this.#queue, this.#link);
    this.#coalescer = new Coalescer(MAX_CALLS_PER_JOB, (calls) => this.#add(calls), inCourse);
  }

  /** Resolves when calls can be submitted for the first time. */
  async ready(): Promise<void> {
    await this.#queue.waitUntilReady();
  }

  /** Whether a call could be submitted now. */
  get available(): boolean {
    return this.#redis.status === "ready";
  }

  /**
   * Puts a call into the queue, with others of the same moment. Settles within two seconds.
   * @throws SandpiperError QUEUE_UNAVAILABLE when Redis did not say that it has the call, which it
   * may have all the same.
   */
  submit(call: Invocation): Promise<void> {
    if (!this.available) {
      const message = "The queue is not reachable. The call did not run.";
      return Promise.reject(new SandpiperError("QUEUE_UNAVAILABLE", { message }));
    }
    return this.#coalescer.add(toRedisTime(call, this.#link.clock));
  }

  /** Sends what waits, then ends the connection. */
  async close(): Promise<void> {
    await this.#coalescer.drained();
    this.#redis.disconnect();
    await this.#queue.close();
  }

  async #add(calls: Invocation[]): Promise<void> {
    try {
      // BullMQ would wait for a connection; one that was lost since `submit` must fail instead.
      if (!this.available) throw new Error("The connection to Redis is lost.");
      await this.#queue.add("calls", { calls, run: this.#run.current?.id }, newJobId());
    } catch (cause) {
      const message = "The queue did not confirm the call. It may have run.";
      throw new SandpiperError("QUEUE_UNAVAILABLE", { message, cause });
    }
  }
}

/** A worker's ways with calls. */
export interface InvocationHandlers {
  /**
   * How many more calls may be given to `run` now; those given before count as soon as `run` was
   * called.
   */
  freeSlots(): number;
  /** Runs a call and answers it. Resolves when its reply was handed to Redis; never rejects. */
  run(call: Invocation): Promise<void>;
  /** Answers and records calls that a worker took and may have run, and that it will not answer. */
  lost(calls: Invocation[]): Promise<void>;
  /**
   * Answers calls that waited too long and were not run. Their gateway may have given up on them.
   */
  expired?(calls: Invocation[]): Promise<void>;
  /** Records calls that waited when Redis ended. Their gateways have answered; they do not run. */
  abandoned?(calls: Invocation[]): Promise<void>;
  /**
   * null when all of the calls may begin; else what resolves with those that may. Never rejects.
   */
  stillWaitedFor?(calls: Invocation[]): Promise<Invocation[]> | null;
  /** Answers and records calls that nobody waits for any more. They were not run. */
  givenUp?(calls: Invocation[]): Promise<void>;
  /** Told of failures of the queue itself. */
  onError?(error: Error): void;
}

/** The worker's end. */
export class InvocationWorker {
  readonly #redis: Redis;
  readonly #link: RedisLink;
  readonly #worker: Worker<CallsJob>;
  readonly #queue: Queue<CallsJob>;
  readonly #giver: JobGiver;
  readonly #taker: JobTaker;
  readonly #slots: CallSlots;
  readonly #handlers: InvocationHandlers;
  /** Lock tokens of the jobs that this worker owns, by job. */
  readonly #owned = new Map<string, string>();
  readonly #unfinished = new Set<Promise<void>>();
  /** Jobs that are done, but whose lock was lost before that could be said: they come once more. */
  readonly #unsaid = new LruMap<string, true>(MAX_UNSAID);
  #renewal: NodeJS.Timeout | undefined;
  #loop: Promise<void> = Promise.resolve();
  #closing = false;
  #closed: Promise<void> | undefined;
  #nextToken = 0;
  /**
   * How many jobs were found stalled: they are at the queue's head, and are taken even when there
   * is no room.
   */
  #stalled = 0;

  /** @param redis says where Redis is; the worker has connections of its own. */
  constructor(redis: Redis, handlers: InvocationHandlers) {
    this.#handlers = handlers;
    this.#slots = new CallSlots(() => handlers.freeSlots());
    this.#redis = connectionLike(redis, PATIENT);
    this.#link = linkOf(redis);
    const options = { connection: this.#redis, prefix: PREFIX };
    this.#queue = new Queue<CallsJob>(CALLS, { ...options, defaultJobOptions: JOB_OPTIONS, streams: NO_EVENTS });
    this.#giver = new JobGiver(redis);
    renewMeta(this.#queue, this.#link);
    const lock = { lockDuration: LOCK_MS };
    this.#taker = new JobTaker(redis, (connection) => openBackend(CALLS, { ...options, ...lock, connection }));
    const watch = { ...lock, stalledInterval: STALLED_CHECK_MS, maxStalledCount: 0 };
    // BullMQ's worker only looks after locks here, and needs no connection to wait on.
    this.#worker = new Worker<CallsJob>(CALLS, null, { ...options, ...watch, autorun: false }, openBackend);
    this.#queue.on("error", (error) => this.#report(error));
    this.#worker.on("error", (error) => this.#report(error));
    this.#worker.on("stalled", () => {
      this.#stalled++;
      this.#slots.changed();
    });
  }

  /** Begins to take jobs. */
  start(): void {
    this.#renewal = setInterval(() => void this.#renewLocks(), RENEW_MS);
    void this.#worker.startStalledCheckTimer();
    // Not before this has returned: a handler may call `close`, which waits for the loop.
    this.#loop = Promise.resolve().then(() => this.#takeJobs());
  }

  /** Say so whenever `freeSlots` may have become more. */
  slotsChanged(): void {
    this.#slots.changed();
  }

  /** Takes no more jobs, and resolves when all calls that were given to `run` have ended. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing = true;
    this.#slots.close();
    void this.#taker.close().catch(() => {});
    await settledWithin(CLOSE_REDIS_MS, this.#loop);
    while (this.#unfinished.size > 0) await Promise.all(this.#unfinished);
    clearInterval(this.#renewal);
    const queues = [this.#worker.close(true), this.#queue.close(), this.#giver.close()];
    await settledWithin(CLOSE_REDIS_MS, Promise.allSettled(queues));
    this.#redis.disconnect();
  }

  async #takeJobs(): Promise<void> {
    while (!this.#closing) {
      try {
        // A call that is taken needs all connections: its lock is kept over one, its reply goes
        // over another.
        if (!this.#link.isWhole) await this.#slots.change(NOT_WHOLE_PAUSE_MS);
        else if (this.#slots.isOpen || this.#stalled > 0) await this.#takeOne();
        else await this.#slots.change();
      } catch (error) {
        if (!isRedisAway(error)) this.#report(error);
        await setTimeout(ERROR_PAUSE_MS);
      }
    }
  }

  async #takeOne(): Promise<void> {
    const token = `${this.#worker.id}:${this.#nextToken++}`;
    const taken = await this.#taker.take(token);
    if (this.#stalled > 0) this.#stalled--;
    if (taken) this.#begin(Job.fromJSON(this.#queue, taken.fields as JobJson, taken.id), token);
  }

  #begin(job: Job<CallsJob>, token: string): void {
    const id = job.id ?? "";
    const ownAlready = this.#owned.has(id);
    this.#owned.set(id, token);
    // Redis was away for longer than the lock: the calls still run here, now under the new lock.
    if (ownAlready) return;
    const isDone = this.#unsaid.has(id);
    this.#unsaid.delete(id);
    const finished = this.#finish(job, isDone ? Promise.resolve() : this.#workOn(job));
    this.#unfinished.add(finished);
    void finished.finally(() => this.#unfinished.delete(finished));
  }

  /** Resolves when every call of the job has been dealt with. */
  async #workOn(job: Job<CallsJob>): Promise<void> {
    const { clock } = this.#link;
    const calls = job.data.calls.map((call) => toOwnTime(call, clock));
    if (job.deferredFailure) return this.#giveUp(calls, this.#handlers.lost);
    if (isOfEarlierRun(job.data, this.#taker.run)) return this.#giveUp(calls, this.#handlers.abandoned);
    const nowMs = Date.now();
    const expired = calls.filter((call) => call.expiresAtMs <= nowMs);
    const alive = expired.length === 0 ? calls : calls.filter((call) => call.expiresAtMs > nowMs);
    const asked = this.#handlers.stillWaitedFor?.(alive) ?? null;
    const wanted = asked === null ? alive : await this.#slots.keptWhile(alive.length, asked);
    const running: Promise<void>[] = [];
    const rest = await this.#slots.fill(wanted, (call) => running.push(this.#handlers.run(call)));
    if (rest.length > 0) await this.#putBack(job, wanted.slice(0, wanted.length - rest.length), rest);
    if (expired.length > 0) await this.#giveUp(expired, this.#handlers.expired);
    const givenUp = wanted === alive ? [] : alive.filter((call) => !wanted.includes(call));
    if (givenUp.length > 0) await this.#giveUp(givenUp, this.#handlers.givenUp);
    await Promise.all(running);
  }

  async #putBack(job: Job<CallsJob>, kept: Invocation[], rest: Invocation[]): Promise<void> {
    try {
      const [stay, go] = [kept, rest].map((calls) => calls.map((call) => toRedisTime(call, this.#link.clock)));
      await this.#giver.putBack(job, stay ?? [], go ?? []);
    } catch (error) {
      // The calls may be back or not.
      this.#report(error);
      await this.#handlers.lost(rest);
    }
  }

  async #giveUp(calls: Invocation[], answer: InvocationHandlers["expired"]): Promise<void> {
    await Promise.all([answer?.(calls), ...calls.map((call) => dropBody(this.#redis, call.request.body))]);
  }

  async #finish(job: Job<CallsJob>, work: Promise<void>): Promise<void> {
    await work.catch((error) => this.#report(error));
    const id = job.id ?? "";
    const token = this.#owned.get(id) ?? "";
    this.#owned.delete(id);
    try {
      sendTogether(this.#redis);
      await job.moveToCompleted(null, token, false);
    } catch (error) {
      this.#unsaid.set(id, true);
      this.#report(error);
    }
  }

  async #renewLocks(): Promise<void> {
    if (this.#owned.size === 0 || this.#redis.status !== "ready") return;
    const ids = [...this.#owned.keys()];
    await this.#worker.extendJobLocks(ids, [...this.#owned.values()], LOCK_MS).catch((error) => this.#report(error));
  }

  #report(error: unknown): void {
    if (!this.#closing && error instanceof Error) this.#handlers.onError?.(error);
  }
}
