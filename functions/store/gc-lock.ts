/** One process at a time collects, over all gateways of a Redis. */
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";

const LOCK = "sp:gc:lock";
/** A holder renews it before each small piece of work, so one that is silent so long is gone. */
const LOCK_MS = 60_000;

/** KEYS: lock. ARGV: token, ms. Gives 0 when another has it. */
const RENEW = `
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call("PEXPIRE", KEYS[1], ARGV[2])`;

/** KEYS: lock. ARGV: token. */
const RELEASE = `
if redis.call("GET", KEYS[1]) == ARGV[1] then redis.call("DEL", KEYS[1]) end`;

export class CollectionLock {
  readonly #redis: Redis;
  readonly #token: string;

  private constructor(redis: Redis, token: string) {
    this.#redis = redis;
    this.#token = token;
  }

  /** Takes the lock; null when another process has it. */
  static async take(redis: Redis): Promise<CollectionLock | null> {
    const token = randomUUID();
    const taken = await redis.set(LOCK, token, "PX", LOCK_MS, "NX");
    return taken === null ? null : new CollectionLock(redis, token);
  }

  /** Keeps the lock for another minute. @throws Error when another process has it by now */
  async renew(): Promise<void> {
    if ((await this.#redis.eval(RENEW, 1, LOCK, this.#token, LOCK_MS)) === 1) return;
    throw new Error("The lock of the collection was lost: this process stood still for a minute.");
  }

  /** Lets others have it. One that cannot be given back expires. */
  async release(): Promise<void> {
    await this.#redis.eval(RELEASE, 1, LOCK, this.#token).catch(() => {});
  }
}
