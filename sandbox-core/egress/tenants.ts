/** The use that each tenant makes of one relay with all of its sandboxes, and its limits. */
import type { EgressRefusal } from "../contract/egress.ts";
import type { RelayOptions } from "../protocol/egress.ts";
import { Rate, Shares } from "./shares.ts";

const HOUR_MS = 3_600_000;

/** The options of a relay that are about tenants. */
export type TenantOptions = Pick<RelayOptions, "connections" | "tenantLimits" | "handshakesPerSecond">;

/** One tenant's places, paces and bytes. */
class TenantUse {
  readonly #limits: TenantOptions["tenantLimits"];
  readonly #rate: Rate;
  readonly #handshakes: Rate;
  #connections = 0;
  #bytes = 0;
  /** The hour that the bytes are counted in ends then. */
  #untilMs = 0;

  constructor({ tenantLimits, handshakesPerSecond }: TenantOptions) {
    this.#limits = tenantLimits;
    this.#rate = new Rate(tenantLimits.connectionsPerSecond ?? Number.POSITIVE_INFINITY);
    this.#handshakes = new Rate(handshakesPerSecond);
  }

  tryHandshake(): boolean {
    return this.#handshakes.tryTake();
  }

  /** Takes a place for a connection, or says why there is none. */
  tryTake(): EgressRefusal | null {
    const { connections = Number.POSITIVE_INFINITY } = this.#limits;
    if (!this.spend(0)) return "tenant_bytes";
    if (this.#connections >= connections) return "tenant_connections";
    if (this.#limits.connectionsPerSecond !== undefined && !this.#rate.tryTake()) return "tenant_rate";
    this.#connections += 1;
    return null;
  }

  release(): void {
    this.#connections -= 1;
  }

  /** Counts bytes; false while there were too many in the hour. */
  spend(bytes: number): boolean {
    const nowMs = performance.now();
    if (nowMs >= this.#untilMs) [this.#bytes, this.#untilMs] = [0, nowMs + HOUR_MS];
    this.#bytes += bytes;
    return this.#bytes <= (this.#limits.bytesPerHour ?? Number.POSITIVE_INFINITY);
  }

  /** Whether nothing is to be remembered of it. */
  get isForgettable(): boolean {
    return this.#connections === 0 && performance.now() >= this.#untilMs && this.#handshakes.isFull;
  }
}

export class Tenants {
  readonly #options: TenantOptions;
  readonly #shares: Shares;
  readonly #uses = new Map<string, TenantUse>();

  /** @param options whose `connections` all tenants share */
  constructor(options: TenantOptions) {
    this.#options = options;
    this.#shares = new Shares(options.connections);
  }

  /** Takes a place for a connection, which is to be released; or says why there is none. */
  tryTake(tenant: string): EgressRefusal | null {
    const use = this.#of(tenant);
    const refusal = use.tryTake();
    if (refusal !== null) return refusal;
    if (this.#shares.tryTake(tenant)) return null;
    use.release();
    return "relay_full";
  }

  release(tenant: string): void {
    this.#of(tenant).release();
    this.#shares.release(tenant);
  }

  /** Whether a tenant may have one more connection go through the injector now. */
  tryHandshake(tenant: string): boolean {
    return this.#of(tenant).tryHandshake();
  }

  /** Counts bytes of a tenant's; false while there were too many. */
  spend(tenant: string, bytes: number): boolean {
    return this.#of(tenant).spend(bytes);
  }

  /** Drops what is known of tenants that have done nothing for an hour. */
  forgetIdle(): void {
    for (const [tenant, use] of this.#uses) if (use.isForgettable) this.#uses.delete(tenant);
  }

  #of(tenant: string): TenantUse {
    const use = this.#uses.get(tenant) ?? new TenantUse(this.#options);
    this.#uses.set(tenant, use);
    return use;
  }
}
