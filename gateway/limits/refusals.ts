/** Tells of what quotas refused: in figures, and once in a while in the function's log. */
import type { Redis } from "ioredis";
import type { QuotaName } from "../../functions/model/quotas.ts";
import { appendLogs } from "../../functions/store/logs.ts";
import type { FunctionRef } from "../../functions/store/registry.ts";
import { LruMap } from "../../infra/std/lru.ts";

/** How often a function's log tells of the same limit, in each gateway. */
const TELL_MS = 60_000;
const MAX_TOLD = 10_000;

export interface RefusalCounter {
  onRefused(tenant: string, quota: QuotaName): void;
}

export class QuotaRefusals {
  readonly #redis: Redis;
  readonly #counter: RefusalCounter | undefined;
  /** By function and limit: when its log told of it last, by `performance.now()`. */
  readonly #toldAtMs = new LruMap<string, number>(MAX_TOLD);

  /** @param redis fails at once while it is away. */
  constructor(redis: Redis, counter: RefusalCounter | undefined) {
    this.#redis = redis;
    this.#counter = counter;
  }

  /** Counts something that was refused. */
  count(tenant: string, quota: QuotaName): void {
    this.#counter?.onRefused(tenant, quota);
  }

  /** Counts a call that was refused, and has its function's log tell of it. */
  note({ tenant, functionName }: FunctionRef, quota: QuotaName, message: string): void {
    this.count(tenant, quota);
    const [key, nowMs] = [`${tenant}/${functionName} ${quota}`, performance.now()];
    const toldAtMs = this.#toldAtMs.get(key);
    if (toldAtMs !== undefined && nowMs - toldAtMs < TELL_MS) return;
    this.#toldAtMs.set(key, nowMs);
    const text = `Calls are refused: ${message}`;
    const record = { invocationId: null, timeMs: Date.now(), level: "warn", source: "platform", text } as const;
    // A log is no reason to fail anything.
    appendLogs(this.#redis, { tenant, functionName }, [record]).catch(() => {});
  }
}
