/**
 * Calls whose clients left, and calls that their gateway gave up, on their way from gateways to
 * workers: a Redis channel, for the workers that have them or will take them, and beside it a
 * sorted set, for workers whose subscription was broken meanwhile.
 */
import { setTimeout } from "node:timers/promises";
import type { Redis } from "ioredis";
import { connectionLike, PATIENT } from "../redis/connections.ts";
import { linkOf, type RedisLink } from "../redis/link.ts";

const CHANNEL = "sp:cancelled";
const KEY = "sp:cancelled";
/** Most calls in the set, and most that a gateway or a worker remembers. */
export const MAX_CANCELLED = 10_000;
/** Most calls in one message. */
const MAX_BATCH = 500;
/** Pause after Redis did not take a message. */
const RETRY_MS = 200;
/** Before the id of a call in the set that is to end only where it has not begun. */
const UNLESS_BEGUN = "~";
/** Time to keep the set after the last cancellation: longer than a call can wait and run. */
const KEPT_MS = 60 * 60 * 1_000;

export interface Cancellation {
  /** The invocation. */
  id: string;
  /**
   * Unix time in milliseconds from which on no worker can have the call any more; by Redis's clock
   * on its way.
   */
  overAtMs: number;
  /** The gateway gave the call up, whose client may be there: a function that has it goes on. */
  unlessBegun?: true;
}

/** A gateway's end. */
export class CancellationSender {
  readonly #redis: Redis;
  readonly #link: RedisLink;
  #waiting: Cancellation[] = [];
  #isSending = false;

  constructor(redis: Redis) {
    this.#redis = redis;
    this.#link = linkOf(redis);
  }

  /**
   * Tells workers, with others of the same moment; while Redis is away, as soon as it is back, if a
   * worker can have the call by then.
   */
  send(cancellation: Cancellation): void {
    if (this.#waiting.length >= MAX_CANCELLED) return;
    this.#waiting.push(moved(cancellation, -this.#link.clock.aheadMs));
    if (this.#isSending) return;
    this.#isSending = true;
    setImmediate(() => void this.#sendAll());
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, MAX_BATCH);
      const isSent = await this.#sendBatch(batch).catch(() => false);
      if (isSent) this.#waiting.splice(0, batch.length);
      else await this.#pause();
    }
    this.#isSending = false;
  }

  async #pause(): Promise<void> {
    await setTimeout(RETRY_MS, undefined, { ref: false });
    const nowMs = this.#link.clock.nowMs();
    this.#waiting = this.#waiting.filter(({ overAtMs }) => overAtMs > nowMs);
  }

  /**
   * The set is written first: whoever subscribes and then reads it misses nothing. Resolves with
   * whether Redis took all of it.
   */
  async #sendBatch(batch: Cancellation[]): Promise<boolean> {
    const member = ({ id, unlessBegun }: Cancellation) => (unlessBegun ? UNLESS_BEGUN + id : id);
    const results = await this.#redis
      .pipeline()
      .zremrangebyscore(KEY, "-inf", this.#link.clock.nowMs())
      .zadd(KEY, ...batch.flatMap((one) => [one.overAtMs, member(one)]))
      .zremrangebyrank(KEY, 0, -MAX_CANCELLED - 1)
      .pexpire(KEY, KEPT_MS)
      .publish(CHANNEL, JSON.stringify(batch))
      .exec();
    return results?.every(([error]) => error === null) ?? false;
  }
}

/** A worker's end, with a connection of its own, as Redis wants of subscribers. */
export class CancellationReceiver {
  readonly #redis: Redis;
  readonly #link: RedisLink;
  readonly #subscriber: Redis;
  readonly #onCancelled: (cancellation: Cancellation) => void;
  #current = Promise.withResolvers<void>();
  #isCurrent = false;

  /** @param redis must be patient; it reads the set. */
  constructor(redis: Redis, onCancelled: (cancellation: Cancellation) => void) {
    this.#redis = redis;
    this.#link = linkOf(redis);
    this.#onCancelled = onCancelled;
    this.#subscriber = connectionLike(redis, PATIENT);
    this.#subscriber.on("message", (_channel: string, message: string) => this.#hearAll(JSON.parse(message)));
    this.#subscriber.on("ready", () => void this.#catchUp().catch(() => {}));
    this.#subscriber.on("close", () => this.#away());
  }

  /** null when all cancellations up to now were heard; else what resolves when they are. */
  current(): Promise<void> | null {
    return this.#isCurrent ? null : this.#current.promise;
  }

  /** Ends the subscription. */
  close(): void {
    this.#subscriber.disconnect();
    this.#current.resolve();
  }

  /** A connection that breaks meanwhile is "ready" again with the next one. */
  async #catchUp(): Promise<void> {
    await this.#subscriber.subscribe(CHANNEL);
    const found = await this.#redis.zrangebyscore(KEY, this.#link.clock.nowMs(), "+inf", "WITHSCORES");
    for (let at = 0; at < found.length; at += 2) {
      this.#hear(cancellationOf(found[at] ?? "", Number(found[at + 1])));
    }
    this.#isCurrent = true;
    this.#current.resolve();
  }

  #away(): void {
    if (this.#isCurrent) this.#current = Promise.withResolvers();
    this.#isCurrent = false;
  }

  #hearAll(batch: Cancellation[]): void {
    for (const cancellation of batch) this.#hear(cancellation);
  }

  #hear(cancellation: Cancellation): void {
    this.#onCancelled(moved(cancellation, this.#link.clock.aheadMs));
  }
}

function moved(cancellation: Cancellation, byMs: number): Cancellation {
  return { ...cancellation, overAtMs: cancellation.overAtMs + byMs };
}

function cancellationOf(member: string, overAtMs: number): Cancellation {
  if (!member.startsWith(UNLESS_BEGUN)) return { id: member, overAtMs };
  return { id: member.slice(UNLESS_BEGUN.length), overAtMs, unlessBegun: true };
}

/** How many workers hear of cancellations now: each that Redis has a connection to. */
export async function countListeningWorkers(redis: Redis): Promise<number> {
  const [, count] = (await redis.pubsub("NUMSUB", CHANNEL)) as [string, number];
  return Number(count);
}
