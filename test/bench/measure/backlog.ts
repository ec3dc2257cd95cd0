/**
 * The queue between gateways and workers with so many jobs in it that nobody takes: what a call
 * costs at its ends then.
 */
import { randomUUID } from "node:crypto";
import type { Invocation } from "../../../functions/model/invocation.ts";
import { InvocationQueue, InvocationWorker } from "../../../functions/transport/invocation-queue.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";
import { perSecond } from "./blocks.ts";
import { Ledger } from "./ledger.ts";
import { Samples } from "./stats.ts";

/**
 * Queues that fill it at once: each waits until its job is in, so that every call is a job of its
 * own.
 */
const FILLERS = 8;
/** Calls of one round. */
const CALLS = 100;
const DAY_MS = 86_400_000;

export class Backlog {
  /** Milliseconds until a call is in the queue. */
  readonly submitting = new Samples();
  /** Calls that a worker takes in a second when it does nothing with them. */
  readonly taking = new Samples();
  readonly ledger: Ledger;
  readonly #redis: TestRedis;
  readonly #queue: InvocationQueue;

  #jobs = 0;

  private constructor(redis: TestRedis) {
    this.#redis = redis;
    this.#queue = new InvocationQueue(redis.connect());
    this.ledger = new Ledger({
      redis: redis.connect(),
      processes: () => ({ "both ends, in one process": [process.pid], redis: [redis.pid] }),
    });
  }

  /** An empty queue on a Redis of its own. */
  static async start(): Promise<Backlog> {
    const backlog = new Backlog(await startRedis());
    await backlog.#queue.ready();
    return backlog;
  }

  /** How many jobs wait between two rounds. */
  get jobs(): number {
    return this.#jobs;
  }

  /** Resolves when so many more wait. */
  async fill(jobs: number): Promise<void> {
    const queues = Array.from({ length: FILLERS }, () => new InvocationQueue(this.#redis.connect()));
    await Promise.all(queues.map((queue) => queue.ready()));
    let next = 0;
    await perSecond(jobs, FILLERS, () => queues[next++ % FILLERS]?.submit(invocation()) ?? Promise.resolve());
    await Promise.all(queues.map((queue) => queue.close()));
    this.#jobs += jobs;
  }

  /** As many calls go in behind those that wait as are taken from before them. */
  async round(counts: boolean): Promise<void> {
    const submittedMs: number[] = [];
    let takenPerSecond = 0;
    const both = async (): Promise<number> => {
      for (let call = 0; call < CALLS; call++) {
        const startMs = performance.now();
        await this.#queue.submit(invocation());
        submittedMs.push(performance.now() - startMs);
      }
      takenPerSecond = await this.#take();
      return CALLS;
    };
    if (!counts) return void (await both());
    await this.ledger.during(both);
    this.submitting.addRound(submittedMs);
    this.taking.addRound([takenPerSecond]);
  }

  async close(): Promise<void> {
    await this.#queue.close();
    await this.#redis.stop();
  }

  async #take(): Promise<number> {
    const { promise: all, resolve } = Promise.withResolvers<void>();
    let left = CALLS;
    let startMs = 0;
    const worker = new InvocationWorker(this.#redis.connect(), {
      freeSlots: () => left,
      async run() {
        // The first one opens the connections.
        if (left-- === CALLS) startMs = performance.now();
        if (left === 0) resolve();
      },
      async lost() {},
    });
    worker.start();
    await all;
    const elapsedMs = performance.now() - startMs;
    await worker.close();
    return ((CALLS - 1) / elapsedMs) * 1_000;
  }
}

function invocation(): Invocation {
  const nowMs = Date.now();
  return {
    id: randomUUID(),
    tenant: "main",
    functionName: "hello",
    version: "0".repeat(64),
    replyTo: "nobody",
    request: {
      method: "GET",
      url: "http://127.0.0.1:8787/fn/main/hello",
      path: "/",
      headers: [["host", "127.0.0.1:8787"]],
      remoteAddress: "127.0.0.1",
      body: null,
    },
    enqueuedAtMs: nowMs,
    expiresAtMs: nowMs + DAY_MS,
  };
}
