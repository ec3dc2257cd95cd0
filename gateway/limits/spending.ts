/**
 * Limits of what calls spend: processor time and bytes. A call costs a look into a map. What was
 * spent comes from Redis once a second, of those that are called; workers give it what they counted
 * every two seconds. So for about three seconds more may be spent than a limit says.
 */
import type { Redis } from "ioredis";
import type { QuotaFigures, Quotas } from "../../functions/model/quotas.ts";
import { HOUR_MS } from "../../functions/model/usage.ts";
import { linkOf } from "../../functions/redis/link.ts";
import { bodyBytesByHour, cpuSecondsSpent, type Spender } from "../../functions/store/limits/spending.ts";

const LOOK_MS = 1_000;
/** Figures that were read longer ago say nothing: a limit must not outlast Redis. */
const STALE_MS = 5_000;

/** The limits that are looked at here. */
export type SpendingLimits = Pick<Quotas, "cpuSecondsPerMinute" | "bodyBytesPerDay">;
export type SpendingName = keyof SpendingLimits;

interface Account {
  readonly spender: Spender;
  limits: SpendingLimits;
  /** Whether somebody called since the last look. */
  isUsed: boolean;
  /** By `performance.now()`. */
  readAtMs: number;
  /** The limit that is reached, if one is. */
  over: [SpendingName, QuotaFigures] | null;
}

export class Spending {
  readonly #redis: Redis;
  readonly #accounts = new Map<string, Account>();
  readonly #timer: NodeJS.Timeout;

  constructor(redis: Redis) {
    this.#redis = redis;
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /**
   * The limit that a call would exceed; null when there is none, or nothing is known yet.
   * @param scope names the spender
   */
  over(scope: string, spender: Spender, limits: SpendingLimits): Account["over"] {
    const account = this.#accounts.get(scope) ?? this.#open(scope, spender, limits);
    account.isUsed = true;
    account.limits = limits;
    if (account.over === null) return null;
    return performance.now() - account.readAtMs > STALE_MS ? null : account.over;
  }

  #open(scope: string, spender: Spender, limits: SpendingLimits): Account {
    const account: Account = { spender, limits, isUsed: true, readAtMs: 0, over: null };
    this.#accounts.set(scope, account);
    void this.#read(account);
    return account;
  }

  #look(): void {
    const nowMs = performance.now();
    for (const [scope, account] of this.#accounts) {
      if (account.isUsed) void this.#read(account);
      else if (nowMs - account.readAtMs > STALE_MS) this.#accounts.delete(scope);
      account.isUsed = false;
    }
  }

  async #read(account: Account): Promise<void> {
    try {
      account.over = (await this.#cpu(account)) ?? (await this.#bytes(account));
      account.readAtMs = performance.now();
    } catch {
      // Whoever calls hears of Redis by other ways.
    }
  }

  async #cpu({ spender, limits: { cpuSecondsPerMinute: limit = 0 } }: Account): Promise<Account["over"]> {
    if (limit === 0) return null;
    const used = await cpuSecondsSpent(this.#redis, spender, limit);
    if (used < limit) return null;
    const retryAfterSeconds = Math.max(1, Math.ceil((60 * (used - limit)) / limit));
    return ["cpuSecondsPerMinute", { limit, used: Math.round(used * 1_000) / 1_000, retryAfterSeconds }];
  }

  async #bytes({ spender, limits: { bodyBytesPerDay: limit = 0 } }: Account): Promise<Account["over"]> {
    if (limit === 0) return null;
    const nowMs = linkOf(this.#redis).clock.nowMs();
    const hours = await bodyBytesByHour(this.#redis, spender, nowMs);
    const used = hours.reduce((sum, bytes) => sum + bytes, 0);
    if (used < limit) return null;
    let [left, passing] = [used, 0];
    // An hour counts no more when the 24th one after it begins.
    for (; left >= limit && passing < hours.length; passing++) left -= hours[passing] ?? 0;
    const retryAfterSeconds = Math.ceil((passing * HOUR_MS - (nowMs % HOUR_MS)) / 1_000);
    return ["bodyBytesPerDay", { limit, used, retryAfterSeconds }];
  }
}
