/**
 * Takes jobs from a queue in one round trip, wait included. Knows the meaning of two keys of
 * BullMQ's; see invocation-queue.ts.
 */
import type { Redis } from "ioredis";
import { connectionLike, NEVER_TWICE, sendTogether } from "../redis/connections.ts";
import { RunOfConnection, type ServerRun } from "../redis/server-run.ts";

/**
 * How long one wait for a job lasts before Redis is asked again. Short, as a connection that waits
 * cannot be asked for a sign of life.
 */
const BLOCK_SECONDS = 1;

/** KEYS: list of waiting jobs, marker. Gives how many wait. */
const JOBS_WAIT = `
local count = redis.call("LLEN", KEYS[1])
if count == 0 then redis.call("ZREM", KEYS[2], "0") end
return count`;

/** BullMQ's commands over one connection. */
export interface TakingBackend {
  readonly keys: Record<string, string>;
  /** Locks the first waiting job for the token, and moves it to those at work. */
  moveToActive(token: string): Promise<[fields?: unknown, id?: string, ...unknown[]]>;
  close(): Promise<void>;
}

/** A job as BullMQ has it, locked for whoever took it. */
export interface TakenJob {
  id: string;
  fields: unknown;
}

/**
 * A worker that waits sends three commands at once, on a connection of its own: wait for the marker
 * that BullMQ sets when there are jobs, take one, say whether more wait. Redis holds back what
 * comes behind a command that waits, so a job that arrives is here with one message, and wakes this
 * process once. BullMQ's own worker is told of a job, and then asks for it.
 */
export class JobTaker {
  readonly #redis: Redis;
  readonly #backend: TakingBackend;
  readonly #run: RunOfConnection;
  /** Redis's number for the connection, and in which run of Redis; null while it is new. */
  #client: { id: number; runId: string | null } | null = null;
  #clientBefore: { id: number; runId: string | null } | null = null;
  /**
   * Whether to look without waiting for the marker: unless the last look said that there is no
   * more.
   */
  #moreWait = true;

  /**
   * @param redis says where Redis is.
   * @param openBackend gives what BullMQ does over that connection, which is the taker's.
   */
  constructor(redis: Redis, openBackend: (connection: Redis) => TakingBackend) {
    this.#redis = connectionLike(redis, NEVER_TWICE, BLOCK_SECONDS);
    this.#run = new RunOfConnection(this.#redis);
    this.#redis.on("close", () => this.#lose());
    this.#backend = openBackend(this.#redis);
  }

  /** The run of Redis that jobs come from; null while it is not known. */
  get run(): ServerRun | null {
    return this.#run.current;
  }

  /**
   * Resolves with a job, or with undefined when none came within a second, or when the wait was
   * ended.
   * @param token owns the job's lock.
   * @throws what ioredis throws when Redis is away.
   */
  async take(token: string): Promise<TakenJob | undefined> {
    if (this.#client === null) await this.#begin();
    const { wait = "", marker = "" } = this.#backend.keys;
    sendTogether(this.#redis);
    if (!this.#moreWait) this.#redis.bzpopmin(marker, BLOCK_SECONDS).catch(() => {});
    // A connection that is lost now may take with it what the marker said.
    this.#moreWait = true;
    const taken = this.#backend.moveToActive(token);
    // Without an answer there may be more.
    const count = this.#countWaiting(wait, marker).catch(() => 1);
    const [fields, id = ""] = await taken;
    this.#moreWait = fields ? (await count) !== 0 : false;
    return fields ? { id, fields } : undefined;
  }

  /**
   * Ends the connection, and with it a wait: `take` resolves or rejects. A job that Redis gave
   * before it saw the end still comes.
   */
  close(): Promise<void> {
    this.#redis.disconnect();
    return this.#backend.close();
  }

  /**
   * Ends what Redis may still have of the connection before: when the network was cut, Redis does
   * not know that it is gone, and would give it a job.
   */
  async #begin(): Promise<void> {
    const id = await this.#redis.client("ID");
    const runId = (await this.#run.known())?.id ?? null;
    const before = this.#clientBefore;
    // Another run numbers its connections anew. A Redis that does not allow it gives the job away.
    if (before !== null && before.runId !== null && before.runId === runId) {
      await this.#redis.client("KILL", "ID", before.id).catch(() => 0);
    }
    this.#client = { id, runId };
  }

  #lose(): void {
    this.#clientBefore = this.#client ?? this.#clientBefore;
    this.#client = null;
    this.#moreWait = true;
  }

  /**
   * How many jobs wait, asked behind the request for one. When there are none, the marker goes that
   * would wake a worker for them: BullMQ sets it with every job that is taken, so that each worker
   * would look for one more in vain, which is as much work as the job.
   */
  async #countWaiting(wait: string, marker: string): Promise<unknown> {
    await new Promise<void>((resolve) => process.nextTick(resolve));
    return this.#redis.eval(JOBS_WAIT, 2, wait, marker);
  }
}
