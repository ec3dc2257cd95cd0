/**
 * The part of a worker that each tenant uses: sandboxes that serve calls or are on their way, and
 * their memory. A tenant that has much leaves the last of both for others (see fair-share.ts).
 * Instances that serve nobody count for nobody, as they make way; those that are kept count, as
 * they do not.
 */

import type { Version } from "../../functions/model/version.ts";
import { MIB } from "../../infra/std/bytes.ts";
import { Holdings, mayTake, type Taking } from "../../infra/std/fair-share.ts";
import type { CapacityLimits } from "./capacity.ts";
import { MemoryLimits, type MemoryLimitsOptions } from "./memory-limits.ts";
import type { Waiter } from "./waiting-call.ts";

/** Idle instances of a version that stay. */
export interface KeptIdle {
  tenant: string;
  memoryMiB: number;
  count: number;
}

const isFull = ({ want, used, size }: Taking): boolean => used + want > size;

export interface TenantRoomOptions {
  limits: CapacityLimits;
  /** Idle instances that stay. */
  kept: () => readonly KeptIdle[];
  /** Has the limits of tenants' memory; without it there are none. */
  tenants: MemoryLimitsOptions["tenants"] | undefined;
  /** Has calls that were held back be looked at again. */
  lookAgain: () => void;
}

export class TenantRoom {
  readonly #limits: CapacityLimits;
  readonly #memory: MemoryLimits | undefined;
  readonly #sandboxes = new Holdings();
  readonly #bytes = new Holdings();
  readonly #kept: () => readonly KeptIdle[];

  constructor({ limits, kept, tenants, lookAgain }: TenantRoomOptions) {
    this.#limits = limits;
    this.#kept = kept;
    const bytesOf = (tenant: string) => this.#bytes.of(tenant) + this.#keptBytesOf(tenant);
    this.#memory = tenants && new MemoryLimits({ tenants, bytesOf, lookAgain });
  }

  /**
   * Whether a call gets no sandbox now, although there may be room for others': its tenant has its
   * part, or as much memory as it may.
   */
  holdsBack(waiter: Pick<Waiter, "version" | "sinceMs" | "fail">): boolean {
    const { tenant, config } = waiter.version;
    return this.#hasItsPart(tenant, config.memoryMiB) || (this.#memory?.hold(waiter) ?? false);
  }

  /**
   * Whether there is room for a sandbox of that memory, and yet none for this tenant, which has its
   * part. Where there is no room for anybody, calls wait in the order in which they came.
   */
  #hasItsPart(tenant: string, memoryMiB: number): boolean {
    const { maxSandboxes, memoryBudgetBytes } = this.#limits;
    const ofSandboxes = { ...usedOf(this.#sandboxes, tenant), want: 1, size: maxSandboxes };
    const ofBytes = { ...usedOf(this.#bytes, tenant), want: memoryMiB * MIB, size: memoryBudgetBytes };
    for (const kept of this.#kept()) {
      const isOwn = Number(kept.tenant === tenant);
      const bytes = kept.count * kept.memoryMiB * MIB;
      ofSandboxes.used += kept.count;
      ofSandboxes.own += isOwn * kept.count;
      ofBytes.used += bytes;
      ofBytes.own += isOwn * bytes;
    }
    if (isFull(ofSandboxes) || isFull(ofBytes)) return false;
    return !mayTake(ofSandboxes) || !mayTake(ofBytes);
  }

  #keptBytesOf(tenant: string): number {
    const own = this.#kept().filter((kept) => kept.tenant === tenant);
    return own.reduce((sum, { count, memoryMiB }) => sum + count * memoryMiB * MIB, 0);
  }

  /** Counts a sandbox that is on its way until it is there. Gives the same back. */
  during<T>({ tenant, config }: Pick<Version, "tenant" | "config">, start: Promise<T>): Promise<T> {
    this.begin(tenant, config.memoryMiB);
    return start.finally(() => this.end(tenant, config.memoryMiB));
  }

  /** A sandbox is on its way for a tenant, or serves calls of it from now on. */
  begin(tenant: string, memoryMiB: number): void {
    this.#sandboxes.add(tenant, 1);
    this.#bytes.add(tenant, memoryMiB * MIB);
  }

  /** The sandbox is there, or serves no calls any more. */
  end(tenant: string, memoryMiB: number): void {
    this.#sandboxes.add(tenant, -1);
    this.#bytes.add(tenant, -memoryMiB * MIB);
  }
}

function usedOf(holdings: Holdings, tenant: string): { own: number; used: number } {
  return { own: holdings.of(tenant), used: holdings.total };
}
