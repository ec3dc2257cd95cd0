/**
 * Where the sandboxes of a pool come from and how they go: their places, the blank ones that are
 * kept ready, the ways to start an instance, and who makes way for whom.
 */
import type { Capacity } from "./capacity.ts";
import type { PoolOptions } from "./options.ts";
import { type Place, Places } from "./places.ts";
import type { PooledVersions } from "./pooled-version.ts";
import { Prewarmed } from "./prewarmed.ts";
import { Starter } from "./starter.ts";
import { Upkeep } from "./upkeep.ts";
import { sharedZygote } from "./zygote-key.ts";

export interface SupplyOptions {
  capacity: Capacity;
  pooledVersions: PooledVersions;
  /** Whether the pool does nothing now. */
  isCalm(): boolean;
  /** Whether calls wait. */
  isShort(): boolean;
  /** Told of each blank sandbox that is ready. */
  onReady(): void;
  /** Told once of each place whose sandbox has ended. */
  onGone(place: Place): void;
}

export class Supply {
  readonly places: Places;
  readonly prewarmed: Prewarmed;
  readonly starter: Starter;
  readonly upkeep: Upkeep;
  readonly #pooledVersions: PooledVersions;

  constructor(pool: PoolOptions, { capacity, pooledVersions, isCalm, isShort, onReady, onGone }: SupplyOptions) {
    // Its blanks are for whoever comes; there is none where tenants share no zygotes.
    const shared = pool.zygoteSharing === "shared" ? sharedZygote(pool.prewarmedMemoryMiB) : null;
    const places = new Places({
      capacity,
      zygotes: pool.zygotes,
      limitsOf: pool.limitsOf,
      onGone: (place, exit) => {
        pool.onSandboxEnd?.(place.sandbox, exit);
        onGone(place);
      },
      onStuck: pool.onTrouble,
      onLaunched: pool.onLaunched,
    });
    const prewarmed = new Prewarmed({
      places,
      wanted: ({ key }) => Math.min(pool.prewarmed, key === shared?.key ? Infinity : 1),
      isCalm,
      isShort,
      onReady,
      onTrouble: pool.onTrouble,
    });
    this.places = places;
    this.prewarmed = prewarmed;
    this.starter = new Starter({ pool, places, prewarmed });
    if (shared) prewarmed.use(shared);
    this.upkeep = new Upkeep({ ...pool, pooledVersions, prewarmed, places, kept: shared?.key });
    this.#pooledVersions = pooledVersions;
  }

  /** Ends blank sandboxes, then instances, longest idle first, until enough is on its way out. */
  makeRoom(memoryMiB: number): void {
    while (!this.places.willFit(memoryMiB)) {
      const victim = this.prewarmed.takeAny() ?? this.#pooledVersions.takeLongestIdle();
      if (victim === undefined) return;
      this.places.end(victim, "its place is needed");
    }
  }
}
