/**
 * The tenants that burn processors: those whose sandboxes use more than would be left for one
 * tenant more. Whoever does is told from what the kernel counted, of all sandboxes of the tenant,
 * so it does not matter how many there are, how short their calls, or which of them is at work.
 */

/** The weight of the latest look in a tenant's mean. */
const LATEST_WEIGHT = 0.5;
/**
 * A tenant that burnt does so until its mean is below this part of a newcomer's share in what
 * everything else leaves: it has only that while it waits for all others.
 */
const BACK_SHARE = 0.75;
/** Below this part of the machine nobody burns, whatever other workers' tenants do. */
const LITTLE_SHARE = 1 / 16;
/** A mean below this is forgotten. */
const NOTHING = 0.001;

/** Processors. */
export interface Capacity {
  all: number;
  left: number;
}

export class Burners {
  readonly #processors: number;
  readonly #partOf: (tenant: string) => number;
  /** Processors that each tenant used of late. */
  readonly #means = new Map<string, number>();
  #burning: ReadonlySet<string> = new Set();

  /**
   * @param processors how many the machine has
   * @param partOf how much a tenant may use of what others may, for its weight
   */
  constructor(processors: number, partOf: (tenant: string) => number = () => 1) {
    this.#processors = processors;
    this.#partOf = partOf;
  }

  /** How many tenants burn. */
  get count(): number {
    return this.#burning.size;
  }

  /**
   * Ends a look.
   * @param used how many processors each tenant used in it
   * @param capacity how many all of these could have used, and how many what is no sandbox left
   */
  look(used: ReadonlyMap<string, number>, capacity: Capacity): void {
    for (const tenant of new Set([...this.#means.keys(), ...used.keys()])) {
      const mean = this.#means.get(tenant) ?? 0;
      const next = mean + LATEST_WEIGHT * ((used.get(tenant) ?? 0) - mean);
      if (next < NOTHING) this.#means.delete(tenant);
      else this.#means.set(tenant, next);
    }
    const means = [...this.#means.values()];
    const [most, mostStill] = [newcomersShare(means, capacity.all), BACK_SHARE * newcomersShare(means, capacity.left)];
    const least = LITTLE_SHARE * this.#processors;
    const mostOf = (tenant: string) => this.#partOf(tenant) * (this.has(tenant) ? mostStill : most);
    const burns = ([tenant, mean]: [string, number]) => mean > Math.max(least, mostOf(tenant));
    this.#burning = new Set([...this.#means].filter(burns).map(([tenant]) => tenant));
  }

  /** Whether a tenant burnt at the last look. */
  has(tenant: string): boolean {
    return this.#burning.has(tenant);
  }
}

/**
 * The part of something that one tenant more would have if all shared it equally, and those who use
 * less left the rest to the others.
 */
export function newcomersShare(used: readonly number[], capacity: number): number {
  let [left, sharers] = [capacity, used.length + 1];
  for (const one of used.toSorted((a, b) => a - b)) {
    if (one >= left / sharers) break;
    left -= one;
    sharers -= 1;
  }
  return left / sharers;
}
