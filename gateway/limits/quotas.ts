/**
 * The quotas of tenants, as a gateway knows them, and the check of each call. A tenant without any
 * costs a look into a map; no call asks Redis.
 */
import type { Redis } from "ioredis";
import type { SandpiperError } from "../../functions/model/errors.ts";
import type { Outcome, PublicError } from "../../functions/model/invocation.ts";
import {
  type QuotaDefaults,
  type QuotaFigures,
  type QuotaName,
  quotaExceeded,
  scopeOf,
} from "../../functions/model/quotas.ts";
import { type TenantLimits, TenantSettings } from "../../functions/store/limits/tenant-settings.ts";
import { leaseCalls } from "../../functions/store/quotas.ts";
import { LruMap } from "../../infra/std/lru.ts";
import { RateLease } from "./rate-lease.ts";
import { QuotaRefusals, type RefusalCounter } from "./refusals.ts";
import { Spending, type SpendingLimits } from "./spending.ts";

const MAX_LEASES = 10_000;

interface OfFunction {
  tenant: string;
  functionName: string;
}

/** The end of a call, as its client was told of it. */
interface EndedCall {
  named: OfFunction | null;
  outcome: Outcome | null;
  error: PublicError | null;
}

export interface GatewayQuotasOptions {
  /** How many calls of a tenant wait or run. */
  inCourse: (tenant: string) => number;
  metrics?: RefusalCounter | undefined;
}

export class GatewayQuotas {
  readonly #redis: Redis;
  readonly #settings: TenantSettings;
  readonly #inCourse: (tenant: string) => number;
  readonly #spending: Spending;
  readonly #refusals: QuotaRefusals;
  /** By scope and limit, so that a new limit has a new lease. */
  readonly #leases = new LruMap<string, RateLease>(MAX_LEASES);

  /** @param redis fails at once while it is away. */
  constructor(redis: Redis, defaults: QuotaDefaults, { inCourse, metrics }: GatewayQuotasOptions) {
    this.#redis = redis;
    this.#settings = new TenantSettings(redis, defaults);
    this.#inCourse = inCourse;
    this.#spending = new Spending(redis);
    this.#refusals = new QuotaRefusals(redis, metrics);
  }

  close(): void {
    this.#settings.close();
    this.#spending.close();
  }

  /** A limit of a tenant; 0: any number. */
  of(tenant: string, name: QuotaName): number {
    return this.#settings.of(tenant).own[name];
  }

  /** The limits of a tenant and of its functions. */
  limitsOf(tenant: string): TenantLimits {
    return this.#settings.of(tenant);
  }

  /** Has what was changed a moment ago count. Rejects when Redis does not answer. */
  read(): Promise<void> {
    return this.#settings.read();
  }

  /** The weight of a tenant beside others. */
  weightOf(tenant: string): number {
    return this.#settings.weightOf(tenant);
  }

  /** How many calls of a tenant wait or run. */
  inCourse(tenant: string): number {
    return this.#inCourse(tenant);
  }

  /** Notes a call that a worker refused, which does so for memory alone. */
  noteEnd({ named, outcome, error }: EndedCall): void {
    if (outcome !== "platform_error" || error?.code !== "CALL_QUOTA" || named === null) return;
    this.#refusals.note(named, "memoryInUse", error.message);
  }

  /** Counts something other than a call that is refused, and gives the error. */
  refusal(tenant: string, name: QuotaName, figures: QuotaFigures, functionName?: string): SandpiperError {
    this.#refusals.count(tenant, name);
    return quotaExceeded(name, scopeOf(tenant, functionName), figures);
  }

  /** Counts a call. @throws SandpiperError CALL_QUOTA */
  takeCall(call: OfFunction): void {
    const { tenant, functionName } = call;
    const { own, functions } = this.#settings.of(tenant);
    const most = own.callsInCourse;
    const used = most === 0 ? 0 : this.#inCourse(tenant);
    if (used > 0 && used >= most) throw this.#refuse(call, "callsInCourse", tenant, { limit: most, used });
    this.#checkSpent(call, tenant, own);
    this.#takeRate(call, tenant, own.callsPerSecond);
    const limits = functions?.get(functionName);
    if (limits === undefined) return;
    const scope = scopeOf(tenant, functionName);
    this.#checkSpent(call, scope, limits);
    this.#takeRate(call, scope, limits.callsPerSecond ?? 0);
  }

  /**
   * Whether a call is one too many of those that wait.
   * @param waiting how many of the tenant, or of the function, wait beside it
   * @returns the error to answer it with
   */
  tooManyWait(call: OfFunction, waiting: (functionName?: string) => number): SandpiperError | null {
    const { own, functions } = this.#settings.of(call.tenant);
    return (
      this.#tooMany(call, own.callsWaiting, waiting) ??
      this.#tooMany(call, functions?.get(call.functionName)?.callsWaiting ?? 0, waiting, call.functionName)
    );
  }

  #tooMany(call: OfFunction, limit: number, waiting: (name?: string) => number, name?: string): SandpiperError | null {
    if (limit === 0) return null;
    const used = waiting(name);
    return used < limit ? null : this.#refuse(call, "callsWaiting", scopeOf(call.tenant, name), { limit, used });
  }

  #checkSpent(call: OfFunction, scope: string, limits: SpendingLimits): void {
    if (!limits.cpuSecondsPerMinute && !limits.bodyBytesPerDay) return;
    const spender = scope === call.tenant ? { tenant: call.tenant } : call;
    const over = this.#spending.over(scope, spender, limits);
    if (over !== null) throw this.#refuse(call, over[0], scope, over[1]);
  }

  #takeRate(call: OfFunction, scope: string, perSecond: number): void {
    if (perSecond === 0) return;
    const key = `${scope} ${perSecond}`;
    const known = this.#leases.get(key);
    const lease = known ?? new RateLease(perSecond, (want) => leaseCalls(this.#redis, scope, { perSecond, want }));
    if (known === undefined) this.#leases.set(key, lease);
    if (!lease.take()) throw this.#refuse(call, "callsPerSecond", scope, { limit: perSecond, used: perSecond });
  }

  #refuse(call: OfFunction, name: QuotaName, scope: string, figures: QuotaFigures): SandpiperError {
    const error = quotaExceeded(name, scope, figures);
    this.#refusals.note(call, name, error.message);
    return error;
  }
}
