/**
 * The instances of a pool that stay, however idle, and are there before a call is. They make way
 * for no other call: who wants them pays for them, with a part of what the worker has. That part is
 * bounded by the operator, so that calls of all others always have the rest.
 */
import type { VersionRef } from "../../functions/model/invocation.ts";
import { MIB } from "../../infra/std/bytes.ts";
import type { CapacityLimits } from "./capacity.ts";
import type { PooledVersion, PooledVersions } from "./pooled-version.ts";
import type { KeptIdle } from "./tenant-room.ts";
import type { Demand } from "./waiting-call.ts";

export interface WarmInstancesOptions {
  pooledVersions: PooledVersions;
  limits: CapacityLimits;
  /** Most of its sandboxes and of its memory that a worker keeps warm, in percent. */
  warmPercent: number;
  /** Starts one more instance, unless there is no room or a call waits. */
  start(demand: Demand): Promise<boolean>;
}

/** A version of which so many instances are to stay. */
export type KeptVersion = VersionRef & { count: number };

export class WarmInstances {
  readonly #options: WarmInstancesOptions;
  /** Told that an instance of a version that is kept has ended. */
  onLost: () => void = () => {};

  constructor(options: WarmInstancesOptions) {
    this.#options = options;
  }

  /** The part of the worker that may be kept warm. */
  get room(): { sandboxes: number; memoryMiB: number } {
    const { limits, warmPercent } = this.#options;
    return {
      sandboxes: Math.floor((limits.maxSandboxes * warmPercent) / 100),
      memoryMiB: Math.floor((limits.memoryBudgetBytes * warmPercent) / 100 / MIB),
    };
  }

  /** Has so many instances of each of these stay from now on, and of no others. */
  keep(versions: readonly KeptVersion[]): void {
    const { pooledVersions } = this.#options;
    const others = new Set(pooledVersions.kept);
    for (const version of versions) {
      const pooledVersion = pooledVersions.of(version);
      others.delete(pooledVersion);
      pooledVersions.keep(pooledVersion, version.count);
    }
    for (const pooledVersion of others) pooledVersions.keep(pooledVersion, 0);
  }

  /** Instances of a version that is kept: those that are there, and those on their way. */
  of(ref: VersionRef): { ready: number; starting: number } {
    const { instances, starting } = this.#options.pooledVersions.of(ref);
    return { ready: instances, starting };
  }

  /**
   * Starts one more instance of a version; false when there is no room for it now.
   * @throws what loading it throws
   */
  start(demand: Demand): Promise<boolean> {
    return this.#options.start(demand);
  }

  /** An instance of that part of the pool has ended. */
  lost(key: string): void {
    const isKept = [...this.#options.pooledVersions.kept].some((kept) => kept.key === key);
    if (isKept) this.onLost();
  }

  /** Free instances that stay. */
  idle(): KeptIdle[] {
    return [...this.#options.pooledVersions.kept].flatMap((pooledVersion) => {
      const [one] = pooledVersion.free;
      const count = Math.min(pooledVersion.free.length, idleOf(pooledVersion));
      const { tenant, place } = one ?? {};
      return tenant === undefined || place === undefined ? [] : [{ tenant, memoryMiB: place.zygote.memoryMiB, count }];
    });
  }

  counts(): { wantedWarm: number; warm: number } {
    const all = [...this.#options.pooledVersions.kept];
    return {
      wantedWarm: all.reduce((sum, { kept }) => sum + kept, 0),
      warm: all.reduce((sum, { kept, instances }) => sum + Math.min(kept, instances), 0),
    };
  }
}

/** How many of a version's free instances stay: those that serve calls stay first. */
function idleOf({ kept, instances, free }: PooledVersion): number {
  return Math.max(0, kept - (instances - free.length));
}
