/** The instances and the waiting calls of a worker, version by version. */
import type { VersionRef } from "../../functions/model/invocation.ts";
import { CpuPressure } from "./cpu-pressure.ts";
import type { Place } from "./places.ts";
import type { PooledInstance } from "./pooled-instance.ts";
import type { TemplatePlace } from "./template-place.ts";
import type { Waiter } from "./waiting-call.ts";
import { isSettling, shouldSendAhead, shouldWait, UNKNOWN_CALL_MS } from "./when-to-start.ts";

/** One version's part of the pool. */
export interface PooledVersion {
  readonly key: string;
  /** Most recently used last. */
  readonly free: PooledInstance[];
  /** Instances that have calls. */
  readonly leased: Set<PooledInstance>;
  /** Oldest first. */
  readonly waiting: Set<Waiter>;
  /** Templates of which further instances are forked, and those that make way. */
  readonly templatePlaces: Set<TemplatePlace>;
  /** Instances on their way, and instances that are alive, free or not. */
  starting: number;
  instances: number;
  /** The last loading that is over: when it ended, by `performance.now()`, and how long it took. */
  loading: { endedAtMs: number; tookMs: number } | null;
  /** When an instance was last there for a call, by `performance.now()`. */
  offeredAtMs: number;
  /** Instances that stay, however idle: see warm-instances.ts. */
  kept: number;
  /** Templates of those that fork for the next call as soon as the last one is cleared away. */
  renewing: number;
  readonly cpuPressure: CpuPressure;
  /** Mean time for which a call keeps an instance busy; the latest calls weigh most. */
  meanCallMs: number;
}

/**
 * Finds a version's part of the pool, and over all of them the place that was idle longest. Empty
 * parts are forgotten.
 */
export class PooledVersions {
  readonly #pooledVersions = new Map<string, PooledVersion>();

  of(version: VersionRef): PooledVersion {
    // The same code of two tenants has one digest: the tenant is what keeps their instances apart.
    return this.withKey(`${version.tenant}/${version.functionName}/${version.version}`);
  }

  withKey(key: string): PooledVersion {
    let pooledVersion = this.#pooledVersions.get(key);
    if (pooledVersion === undefined) {
      const [free, leased, waiting] = [[], new Set<PooledInstance>(), new Set<Waiter>()];
      const counts = { starting: 0, instances: 0, renewing: 0, kept: 0 };
      const times = { loading: null, offeredAtMs: 0, meanCallMs: UNKNOWN_CALL_MS };
      const templatePlaces = new Set<TemplatePlace>();
      pooledVersion = {
        key,
        free,
        leased,
        waiting,
        templatePlaces,
        ...counts,
        ...times,
        cpuPressure: new CpuPressure(),
      };
      this.#pooledVersions.set(key, pooledVersion);
    }
    return pooledVersion;
  }

  /** The parts with instances that stay, however idle. */
  readonly kept = new Set<PooledVersion>();

  /** Has so many instances of a version stay, however idle. */
  keep(pooledVersion: PooledVersion, count: number): void {
    pooledVersion.kept = count;
    if (count > 0) this.kept.add(pooledVersion);
    else this.kept.delete(pooledVersion);
    this.forgetIfEmpty(pooledVersion);
  }

  /** Takes the place that was free longest: of an instance, or of a template without instances. */
  takeLongestIdle(): Place | undefined {
    let longest: PooledVersion | undefined;
    for (const pooledVersion of this.#pooledVersions.values())
      if (idleSince(pooledVersion) < idleSince(longest)) longest = pooledVersion;
    if (longest === undefined) return undefined;
    const pooled = spareOf(longest) > 0 ? longest.free.shift() : undefined;
    return pooled?.place ?? this.#takeTemplatePlace(longest, ({ isFree }) => isFree);
  }

  /**
   * Takes every free place, of an instance or a template, of which that holds.
   * @param most how many instances of a version at most
   */
  takeFree(
    holds: (one: PooledInstance | TemplatePlace) => boolean,
    most: (pooledVersion: PooledVersion) => number = () => Number.POSITIVE_INFINITY,
  ): Place[] {
    return [...this.#pooledVersions.values()].flatMap((pooledVersion) => {
      const taken = pooledVersion.free.filter(holds).slice(0, most(pooledVersion));
      const stay = pooledVersion.free.filter((pooled) => !taken.includes(pooled));
      pooledVersion.free.splice(0, pooledVersion.free.length, ...stay);
      const places = taken.map(({ place }) => place);
      const templatePlace = this.#takeTemplatePlace(pooledVersion, (one) => one.isFree && holds(one));
      this.forgetIfEmpty(pooledVersion);
      return templatePlace === undefined ? places : [...places, templatePlace];
    });
  }

  #takeTemplatePlace(
    { templatePlaces }: PooledVersion,
    holds: (templatePlace: TemplatePlace) => boolean,
  ): Place | undefined {
    const found = [...templatePlaces].find(holds);
    if (found !== undefined) templatePlaces.delete(found);
    return found?.place;
  }

  /** Takes a template out that ended. */
  removeTemplatePlace(place: Place): void {
    for (const pooledVersion of this.#pooledVersions.values()) {
      this.#takeTemplatePlace(pooledVersion, (templatePlace) => templatePlace.place === place);
      this.forgetIfEmpty(pooledVersion);
    }
  }

  /** Takes an instance out that ended, wherever it stands. */
  remove(pooled: PooledInstance): void {
    const pooledVersion = this.withKey(pooled.key);
    pooledVersion.instances -= 1;
    pooledVersion.leased.delete(pooled);
    const index = pooledVersion.free.indexOf(pooled);
    if (index >= 0) pooledVersion.free.splice(index, 1);
    this.forgetIfEmpty(pooledVersion);
  }

  /** The instances that serve calls. */
  *busy(): Iterable<PooledInstance> {
    for (const { leased } of this.#pooledVersions.values()) yield* leased;
  }

  /** These, and the free ones. */
  *all(): Iterable<PooledInstance> {
    for (const { leased, free } of this.#pooledVersions.values()) {
      yield* leased;
      yield* free;
    }
  }

  forgetIfEmpty(pooledVersion: PooledVersion): void {
    if (
      pooledVersion.waiting.size +
        pooledVersion.starting +
        pooledVersion.instances +
        pooledVersion.kept +
        pooledVersion.templatePlaces.size ===
      0
    )
      this.#pooledVersions.delete(pooledVersion.key);
  }

  get freeCount(): number {
    let count = 0;
    for (const { free } of this.#pooledVersions.values()) count += free.length;
    return count;
  }
}

/** How many instances of a version may go when they are free: those beyond what is kept. */
export function spareOf({ instances, kept }: PooledVersion): number {
  return Math.max(0, instances - kept);
}

/**
 * The instance behind whose calls another one should stand: the one with the fewest, if its turn
 * comes soon.
 */
export function nextTurn({ leased, instances, starting, meanCallMs }: PooledVersion): PooledInstance | undefined {
  let found: PooledInstance | undefined;
  for (const pooled of leased) {
    if (pooled.takesCalls && pooled.leases < (found?.leases ?? Number.POSITIVE_INFINITY)) found = pooled;
  }
  if (found === undefined) return undefined;
  const isSoon = shouldSendAhead({ instances: instances + starting, ahead: found.leases, meanCallMs });
  return isSoon ? found : undefined;
}

/**
 * One look at the calls of a version that wait, oldest first. What is the same for all of them is
 * found out once, as many calls may wait and each that ends has them looked at.
 */
export class QueueLook {
  readonly #pooledVersion: PooledVersion;
  readonly #isWorkerFull: boolean;
  readonly #nowMs = performance.now();
  #wantsMoreCpu: boolean | undefined;
  /** How many calls were looked at. */
  before = 0;

  /** @param isWorkerFull whether the worker itself has no processor time left */
  constructor(pooledVersion: PooledVersion, isWorkerFull: boolean) {
    this.#pooledVersion = pooledVersion;
    this.#isWorkerFull = isWorkerFull;
  }

  /**
   * Whether a call does better to wait for one of the busy instances, with so many calls before it,
   * than for a new one.
   */
  waitsForBusy({ sinceMs }: Waiter, before: number): boolean {
    const { instances, starting, leased, meanCallMs, cpuPressure } = this.#pooledVersion;
    this.#wantsMoreCpu ??= cpuPressure.wantsMoreCpu(Array.from(leased, ({ place }) => place.sandbox));
    const [wantsMoreCpu, isWorkerFull] = [this.#wantsMoreCpu, this.#isWorkerFull];
    const all = { instances: instances + starting, meanCallMs, wantsMoreCpu, isWorkerFull };
    return (
      isSettling(this.#pooledVersion, this.#nowMs) || shouldWait({ ...all, before, waitedMs: this.#nowMs - sinceMs })
    );
  }
}

function idleSince(pooledVersion: PooledVersion | undefined): number {
  if (pooledVersion === undefined) return Number.POSITIVE_INFINITY;
  const free = spareOf(pooledVersion) > 0 ? pooledVersion.free : [];
  const [first] = [...free, ...[...pooledVersion.templatePlaces].filter(({ isFree }) => isFree)];
  return first?.freeSinceMs ?? Number.POSITIVE_INFINITY;
}
