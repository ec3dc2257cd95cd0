/**
 * One process at a time collects, makes a backup or restores one, over all gateways of a Redis: the
 * lock says which.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { SandpiperError } from "../model/errors.ts";

/** Work that the lock is held for. */
export type LockedWork = "gc" | "backup" | "restore";

export const LOCK = "sp:gc:lock";
/** A holder renews it before each small piece of work, so one that is silent so long is gone. */
const LOCK_MS = 60_000;

/** KEYS: lock. ARGV: token, ms. Gives 0 when another has it. */
const RENEW = `
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call("PEXPIRE", KEYS[1], ARGV[2])`;

/** KEYS: lock. ARGV: token. */
const RELEASE = `
if redis.call("GET", KEYS[1]) == ARGV[1] then redis.call("DEL", KEYS[1]) end`;

/** A backup waits so long for a collection: one takes seconds, and comes by itself. */
const WAIT_MS = 60_000;
const LOOK_MS = 200;
/** How often `hold` renews it. */
const HOLD_MS = 15_000;

const REFUSALS = { gc: "GC_RUNNING", backup: "BACKUP_RUNNING", restore: "RESTORE_RUNNING" } as const;

/** The work that the lock is held for; null when nobody has it. */
export async function lockedWork(redis: Redis): Promise<LockedWork | null> {
  const token = await redis.get(LOCK);
  if (token === null) return null;
  const [word = ""] = token.split(":");
  return word === "backup" || word === "restore" ? word : "gc";
}

export class CollectionLock {
  readonly #redis: Redis;
  readonly #token: string;
  #lost: Error | null = null;

  private constructor(redis: Redis, token: string) {
    this.#redis = redis;
    this.#token = token;
  }

  /**
   * Takes the lock.
   * @throws SandpiperError GC_RUNNING, BACKUP_RUNNING, RESTORE_RUNNING when another process has it;
   * what is no collection waits for one to end
   */
  static async take(redis: Redis, work: LockedWork = "gc"): Promise<CollectionLock> {
    const token = `${work}:${randomUUID()}`;
    const lastMs = performance.now() + (work === "gc" ? 0 : WAIT_MS);
    while ((await redis.set(LOCK, token, "PX", LOCK_MS, "NX")) === null) {
      const other = (await lockedWork(redis)) ?? "gc";
      if (other !== "gc" || performance.now() >= lastMs) throw new SandpiperError(REFUSALS[other]);
      await delay(LOOK_MS);
    }
    return new CollectionLock(redis, token);
  }

  /**
   * Holds the lock for work that takes long, which calls `check` to see that it is still held, and
   * releases it. @throws as `take`; what the work throws
   */
  static async hold<T>(redis: Redis, work: LockedWork, run: (lock: CollectionLock) => Promise<T>): Promise<T> {
    const lock = await CollectionLock.take(redis, work);
    const end = lock.keep();
    try {
      return await run(lock);
    } finally {
      await end();
    }
  }

  /** Renews the lock by itself until the function that this gives is called, which releases it. */
  keep(): () => Promise<void> {
    const renew = () => {
      this.renew().catch((error: Error) => {
        this.#lost = error;
      });
    };
    const timer = setInterval(renew, HOLD_MS).unref();
    return async () => {
      clearInterval(timer);
      await this.release();
    };
  }

  /** The value of the lock's key while it is held. */
  get token(): string {
    return this.#token;
  }

  /** @throws Error when the lock was lost, or Redis could not be asked */
  check(): void {
    if (this.#lost !== null) throw this.#lost;
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
