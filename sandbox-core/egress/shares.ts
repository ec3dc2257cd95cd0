/**
 * Places of something that there is only so much of, shared between tenants: one may have as many
 * as are still free. So one alone gets half of all, two get a third each, and there are always some
 * left for whoever comes next.
 */
export class Shares {
  #free: number;
  readonly #taken = new Map<string, number>();

  constructor(total: number) {
    this.#free = total;
  }

  /** Takes a place for a tenant, unless it has its share. */
  tryTake(tenant: string): boolean {
    const taken = this.#taken.get(tenant) ?? 0;
    if (taken >= this.#free) return false;
    this.#free -= 1;
    this.#taken.set(tenant, taken + 1);
    return true;
  }

  release(tenant: string): void {
    const left = (this.#taken.get(tenant) ?? 1) - 1;
    this.#free += 1;
    if (left > 0) this.#taken.set(tenant, left);
    else this.#taken.delete(tenant);
  }
}

/** So many at once, one at least, and so many more each second. */
export class Rate {
  readonly #perSecond: number;
  readonly #burst: number;
  #left: number;
  #atMs = performance.now();

  constructor(perSecond: number, burst = Math.max(1, perSecond)) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#left = burst;
  }

  /** Whether none was taken for so long that all are there. */
  get isFull(): boolean {
    this.#refill();
    return this.#left === this.#burst;
  }

  tryTake(): boolean {
    this.#refill();
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }

  #refill(): void {
    const nowMs = performance.now();
    this.#left = Math.min(this.#burst, this.#left + ((nowMs - this.#atMs) / 1_000) * this.#perSecond);
    this.#atMs = nowMs;
  }
}
