/**
 * Ends the sandboxes of a pool that were idle for long, and those that make way for newer zygotes
 * or others.
 */

import type { Places } from "./places.ts";
import { type PooledVersions, spareOf } from "./pooled-version.ts";
import type { Prewarmed } from "./prewarmed.ts";
import type { Zygotes } from "./zygotes.ts";

export interface UpkeepOptions {
  pooledVersions: PooledVersions;
  prewarmed: Prewarmed;
  places: Places;
  zygotes: Zygotes;
  idleMs: number;
  /** Key of the zygote whose blanks stay, however idle. */
  kept: string | undefined;
}

const SHORTEST_PERIOD_MS = 50;
const LONGEST_PERIOD_MS = 5_000;

export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #timer: NodeJS.Timeout;

  /** Begins at once, and looks again every few seconds. */
  constructor(options: UpkeepOptions) {
    this.#options = options;
    const periodMs = Math.min(Math.max(options.idleMs / 4, SHORTEST_PERIOD_MS), LONGEST_PERIOD_MS);
    this.#timer = setInterval(() => this.#tidy(), periodMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Keeps nothing ready of a zygote that leaves, and ends what it has that serves nobody. */
  leave(key: string): void {
    const { prewarmed, places } = this.#options;
    for (const place of prewarmed.forget(key)) places.end(place, "its zygote makes way");
    this.endOutdated();
  }

  #tidy(): void {
    const { pooledVersions, places, zygotes, idleMs } = this.#options;
    const longAgoMs = performance.now() - idleMs;
    for (const place of pooledVersions.takeFree(({ freeSinceMs }) => freeSinceMs <= longAgoMs, spareOf))
      places.end(place, "it was idle");
    this.#endIdlePrewarmed(longAgoMs);
    this.endOutdated();
    void zygotes.retireIdle();
  }

  /** Ends the blanks of zygotes that have nothing else. */
  #endIdlePrewarmed(longAgoMs: number): void {
    const { prewarmed, places, kept } = this.#options;
    for (const zygote of prewarmed.unusedSince(longAgoMs)) {
      const isUsed = places.some(zygote, (place) => !prewarmed.has(place));
      if (isUsed || zygote.key === kept) continue;
      for (const place of prewarmed.forget(zygote.key)) places.end(place, "its kind was idle");
    }
  }

  /** Ends whatever serves nobody and may serve nobody any more. */
  endOutdated(): void {
    const { pooledVersions, prewarmed, places } = this.#options;
    const outdated = [...pooledVersions.takeFree(({ isOutdated }) => isOutdated), ...prewarmed.takeOutdated()];
    for (const place of outdated) places.end(place, "it is outdated");
  }
}
