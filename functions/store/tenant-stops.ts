/** The tenants that are not active, remembered by a gateway so that a call asks nobody. */
import type { Redis } from "ioredis";
import { SandpiperError } from "../model/errors.ts";
import type { TenantStop } from "../model/tenants.ts";
import { Announcements } from "../redis/announcements.ts";
import { readStops, STOP_CHANGES } from "./tenant-states.ts";

/** A change that was never heard does harm for so long at most. */
const LOOK_MS = 10_000;

export class TenantStops {
  readonly #redis: Redis;
  readonly #announcements: Announcements;
  readonly #timer: NodeJS.Timeout;
  #stops: ReadonlyMap<string, TenantStop> = new Map();
  /** Counts reads, of which a later one wins over an earlier one that ends after it. */
  #reads = 0;
  #shown = 0;

  /**
   * @param redis answers reads; announcements come on a connection of their own
   * @param lookMs how often to read them unasked
   */
  constructor(redis: Redis, lookMs = LOOK_MS) {
    this.#redis = redis;
    const look = () => void this.#look();
    this.#announcements = new Announcements(redis, STOP_CHANGES, { heard: look, listening: look });
    this.#timer = setInterval(look, lookMs).unref();
  }

  /** How a tenant is stopped; undefined when it is active. */
  get(tenant: string): TenantStop | undefined {
    return this.#stops.get(tenant);
  }

  /**
   * Lets a tenant's call pass that is active.
   * @throws SandpiperError TENANT_SUSPENDED; FUNCTION_NOT_FOUND when it is being deleted
   */
  checkCall(tenant: string, functionName: string): void {
    if (this.#stops.size === 0) return;
    const state = this.#stops.get(tenant)?.state;
    if (state === undefined) return;
    if (state === "suspended") throw new SandpiperError("TENANT_SUSPENDED");
    const message = `The tenant ${tenant} has no function ${functionName}.`;
    throw new SandpiperError("FUNCTION_NOT_FOUND", { message });
  }

  /** Reads them now. Rejects when Redis does not answer. */
  async read(): Promise<void> {
    const turn = ++this.#reads;
    const stops = await readStops(this.#redis);
    if (turn < this.#shown) return;
    [this.#shown, this.#stops] = [turn, stops];
  }

  close(): void {
    clearInterval(this.#timer);
    this.#announcements.close();
  }

  /** Reads them, or leaves that to the next look. */
  async #look(): Promise<void> {
    await this.read().catch(() => {});
  }
}
