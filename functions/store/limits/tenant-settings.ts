/**
 * Limits and weights of tenants, remembered so that a call asks nobody. Changes are announced; what
 * was not heard is read a little later.
 */
import type { Redis } from "ioredis";
import type { QuotaDefaults, Quotas } from "../../model/quotas.ts";
import { USUAL_WEIGHT } from "../../model/tenants.ts";
import { Announcements } from "../../redis/announcements.ts";
import { allSettings, SETTING_CHANGES } from "../quotas.ts";

/** A change that was never heard does harm for so long at most. */
const LOOK_MS = 10_000;

/** The limits that count for a tenant, and those of single functions beside them. */
export interface TenantLimits {
  readonly own: QuotaDefaults;
  /** By name; null: no function has any. */
  readonly functions: ReadonlyMap<string, Quotas> | null;
}

export class TenantSettings {
  readonly #redis: Redis;
  readonly #usual: TenantLimits;
  readonly #announcements: Announcements;
  readonly #timer: NodeJS.Timeout;
  #limits: ReadonlyMap<string, TenantLimits> = new Map();
  #weights: ReadonlyMap<string, number> = new Map();
  /** Counts reads, of which a later one wins over an earlier one that ends after it. */
  #reads = 0;
  #shown = 0;

  /**
   * @param redis answers reads; announcements come on a connection of their own
   * @param defaults limits of tenants for which nobody set another
   * @param lookMs how often to read them unasked
   */
  constructor(redis: Redis, defaults: QuotaDefaults, lookMs = LOOK_MS) {
    this.#redis = redis;
    this.#usual = { own: defaults, functions: null };
    const look = () => void this.read().catch(() => {});
    this.#announcements = new Announcements(redis, SETTING_CHANGES, { heard: look, listening: look });
    this.#timer = setInterval(look, lookMs).unref();
  }

  /** The limits of a tenant. The same object until something changes. */
  of(tenant: string): TenantLimits {
    return this.#limits.get(tenant) ?? this.#usual;
  }

  /** The weight of a tenant beside others. */
  weightOf(tenant: string): number {
    return this.#weights.size === 0 ? USUAL_WEIGHT : (this.#weights.get(tenant) ?? USUAL_WEIGHT);
  }

  /** Reads all of them now. Rejects when Redis does not answer; known ones stay then. */
  async read(): Promise<void> {
    const turn = ++this.#reads;
    const { quotas, weights } = await allSettings(this.#redis);
    if (turn < this.#shown) return;
    this.#shown = turn;
    this.#weights = weights;
    this.#limits = this.#byTenant(quotas);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#announcements.close();
  }

  #byTenant(quotas: ReadonlyMap<string, Quotas>): Map<string, TenantLimits> {
    const all = new Map<string, { own: QuotaDefaults; functions: Map<string, Quotas> | null }>();
    for (const [scope, limits] of quotas) {
      const [tenant = "", functionName] = scope.split("/");
      const of = all.get(tenant) ?? { ...this.#usual, functions: null };
      all.set(tenant, of);
      if (functionName === undefined) of.own = { ...this.#usual.own, ...limits };
      else of.functions = new Map(of.functions).set(functionName, limits);
    }
    return all;
  }
}
