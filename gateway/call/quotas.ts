/**
 * The quotas of tenants, as a gateway knows them, and the check of each call. A tenant without any
 * costs a look into a map.
 */
import type { Redis } from "ioredis";
import {
  type QuotaDefaults,
  type QuotaName,
  type Quotas,
  quotaExceeded,
  scopeOf,
} from "../../functions/model/quotas.ts";
import { allQuotas, leaseCalls } from "../../functions/store/quotas.ts";
import { LruMap } from "../../infra/std/lru.ts";
import { RateLease } from "./rate-lease.ts";

/** How often the limits are read again. */
const LOOK_MS = 1_000;
const MAX_LEASES = 10_000;

interface OfFunction {
  tenant: string;
  functionName: string;
}

export class GatewayQuotas {
  readonly #redis: Redis;
  readonly #defaults: QuotaDefaults;
  readonly #inCourse: (tenant: string) => number;
  readonly #timer: NodeJS.Timeout;
  #set = new Map<string, Quotas>();
  /** By scope and limit, so that a new limit has a new lease. */
  readonly #leases = new LruMap<string, RateLease>(MAX_LEASES);

  /**
   * @param redis fails at once while it is away.
   * @param inCourse how many calls of a tenant wait or run.
   */
  constructor(redis: Redis, defaults: QuotaDefaults, inCourse: (tenant: string) => number) {
    this.#redis = redis;
    this.#defaults = defaults;
    this.#inCourse = inCourse;
    this.#timer = setInterval(() => void this.#look(), LOOK_MS).unref();
    void this.#look();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** A limit of a tenant; 0: any number. */
  of(tenant: string, name: QuotaName): number {
    return this.#set.get(tenant)?.[name] ?? this.#defaults[name];
  }

  /** Counts a call. @throws SandpiperError CALL_QUOTA */
  takeCall({ tenant, functionName }: OfFunction): void {
    const most = this.of(tenant, "callsInCourse");
    const used = most === 0 ? 0 : this.#inCourse(tenant);
    if (used > 0 && used >= most) throw quotaExceeded("callsInCourse", tenant, { limit: most, used });
    this.#takeRate(tenant, this.of(tenant, "callsPerSecond"));
    if (this.#set.size === 0) return;
    const scope = scopeOf(tenant, functionName);
    this.#takeRate(scope, this.#set.get(scope)?.callsPerSecond ?? 0);
  }

  #takeRate(scope: string, perSecond: number): void {
    if (perSecond === 0) return;
    const key = `${scope} ${perSecond}`;
    const known = this.#leases.get(key);
    const lease = known ?? new RateLease(perSecond, (want) => leaseCalls(this.#redis, scope, { perSecond, want }));
    if (known === undefined) this.#leases.set(key, lease);
    if (!lease.take()) throw quotaExceeded("callsPerSecond", scope, { limit: perSecond, used: perSecond });
  }

  async #look(): Promise<void> {
    // Known limits stay while Redis does not answer.
    this.#set = await allQuotas(this.#redis).catch(() => this.#set);
  }
}
