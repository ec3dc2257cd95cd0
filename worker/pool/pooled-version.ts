/** The instances and the waiting calls of a worker, version by version. */
import type { VersionRef } from "../../functions/model/invocation.ts";
import { Appetite } from "./cpu-pressure.ts";
import type { Place } from "./places.ts";
import type { Loaded } from "./pooled-instance.ts";
import type { TemplatePlace } from "./template-place.ts";
import type { Waiter } from "./waiting-call.ts";
import { UNKNOWN_CALL_MS } from "./when-to-start.ts";

/** One version's part of the pool. */
export interface Shelf {
  readonly key: string;
  /** Most recently used last. */
  readonly free: Loaded[];
  /** Instances that have calls. */
  readonly leased: Set<Loaded>;
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
  /** Templates of those that fork for the next call as soon as the last one is cleared away. */
  renewing: number;
  readonly appetite: Appetite;
  /** How long a call keeps an instance busy, in milliseconds: a mean in which the latest calls weigh most. */
  meanCallMs: number;
}

/** Finds a version's shelf, and over all shelves what was idle longest. Empty shelves are forgotten. */
export class Shelves {
  readonly #shelves = new Map<string, Shelf>();

  of(version: VersionRef): Shelf {
    // The same code of two tenants has one digest: the tenant is what keeps their instances apart.
    return this.withKey(`${version.tenant}/${version.functionName}/${version.version}`);
  }

  withKey(key: string): Shelf {
    let shelf = this.#shelves.get(key);
    if (shelf === undefined) {
      const [free, leased, waiting] = [[], new Set<Loaded>(), new Set<Waiter>()];
      const counts = { starting: 0, instances: 0, renewing: 0 };
      const times = { loading: null, offeredAtMs: 0, meanCallMs: UNKNOWN_CALL_MS };
      const templatePlaces = new Set<TemplatePlace>();
      shelf = { key, free, leased, waiting, templatePlaces, ...counts, ...times, appetite: new Appetite() };
      this.#shelves.set(key, shelf);
    }
    return shelf;
  }

  /** The place that was free longest, taken from its shelf: of an instance, or of a template without any. */
  takeLongestIdle(): Place | undefined {
    let longest: Shelf | undefined;
    for (const shelf of this.#shelves.values()) if (idleSince(shelf) < idleSince(longest)) longest = shelf;
    if (longest === undefined) return undefined;
    return longest.free.shift()?.place ?? this.#takeTemplatePlace(longest, ({ isFree }) => isFree);
  }

  /** Every free place, of an instance or a template, of which that holds, taken from its shelf. */
  takeFree(holds: (one: Loaded | TemplatePlace) => boolean): Place[] {
    return [...this.#shelves.values()].flatMap((shelf) => {
      const taken = shelf.free.filter(holds);
      const stay = shelf.free.filter((loaded) => !taken.includes(loaded));
      shelf.free.splice(0, shelf.free.length, ...stay);
      const places = taken.map(({ place }) => place);
      const templatePlace = this.#takeTemplatePlace(shelf, (one) => one.isFree && holds(one));
      this.forgetIfEmpty(shelf);
      return templatePlace === undefined ? places : [...places, templatePlace];
    });
  }

  #takeTemplatePlace({ templatePlaces }: Shelf, holds: (templatePlace: TemplatePlace) => boolean): Place | undefined {
    const found = [...templatePlaces].find(holds);
    if (found !== undefined) templatePlaces.delete(found);
    return found?.place;
  }

  /** Takes a template that ended from its shelf. */
  removeTemplatePlace(place: Place): void {
    for (const shelf of this.#shelves.values()) {
      this.#takeTemplatePlace(shelf, (templatePlace) => templatePlace.place === place);
      this.forgetIfEmpty(shelf);
    }
  }

  /** Takes an instance that ended from its shelf, wherever it stands there. */
  remove(loaded: Loaded): void {
    const shelf = this.withKey(loaded.key);
    shelf.instances -= 1;
    shelf.leased.delete(loaded);
    const index = shelf.free.indexOf(loaded);
    if (index >= 0) shelf.free.splice(index, 1);
    this.forgetIfEmpty(shelf);
  }

  forgetIfEmpty(shelf: Shelf): void {
    if (shelf.waiting.size + shelf.starting + shelf.instances + shelf.templatePlaces.size === 0)
      this.#shelves.delete(shelf.key);
  }

  get freeCount(): number {
    let count = 0;
    for (const { free } of this.#shelves.values()) count += free.length;
    return count;
  }
}

/** The instance with calls, and with place for more, that has the fewest. */
export function shortestLine({ leased }: Shelf): Loaded | undefined {
  let found: Loaded | undefined;
  for (const loaded of leased) {
    if (loaded.hasPlace && loaded.leases < (found?.leases ?? Number.POSITIVE_INFINITY)) found = loaded;
  }
  return found;
}

function idleSince(shelf: Shelf | undefined): number {
  if (shelf === undefined) return Number.POSITIVE_INFINITY;
  const [first] = [...shelf.free, ...[...shelf.templatePlaces].filter(({ isFree }) => isFree)];
  return first?.freeSinceMs ?? Number.POSITIVE_INFINITY;
}
