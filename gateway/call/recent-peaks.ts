/**
 * Slots that are kept free for tenants who had them a moment ago. A client who calls again when the
 * last call was answered has none in between: a neighbour whose calls wait would have taken that
 * slot, for as long as a call of the neighbour's takes.
 */
import { Holdings } from "../../infra/std/fair-share.ts";

export class RecentPeaks {
  readonly #own: Holdings;
  /** Most calls that each tenant has had in course at once, in this period and in the last one. */
  #now = new Map<string, number>();
  #before = new Map<string, number>();
  /** Slots that each tenant is kept, and the sum of those that are free now. */
  #kept = new Map<string, number>();
  #free = 0;

  /** @param own calls in course, which whoever tells of changes has changed before. */
  constructor(own: Holdings) {
    this.#own = own;
  }

  /** How many tenants have had calls in this period or the last; 1 at least. */
  get tenants(): number {
    return Math.max(1, this.#kept.size);
  }

  /** Slots that stay free when others than these tenants come. */
  get free(): number {
    return this.#free;
  }

  /** Slots that a tenant had a moment ago, its equal part at most. */
  kept(tenant: string): number {
    return this.#kept.get(tenant) ?? 0;
  }

  /** Slots that each tenant has in course, and those kept free for it beside. */
  get taken(): Holdings {
    const taken = new Holdings();
    for (const [tenant, own] of this.#own.entries()) taken.add(tenant, own);
    for (const tenant of this.#kept.keys()) taken.add(tenant, this.#freeOf(tenant, this.#own.of(tenant)));
    return taken;
  }

  /** A tenant has one call more in course, or one less. */
  changed(tenant: string, by: 1 | -1): void {
    const own = this.#own.of(tenant);
    if (own > (this.#now.get(tenant) ?? 0)) this.#now.set(tenant, own);
    this.#free += this.#freeOf(tenant, own) - this.#freeOf(tenant, own - by);
  }

  /**
   * Ends a period.
   * @param slots the gateway's own ones, of which a tenant is kept its equal part at most
   */
  endPeriod(slots: number): void {
    const peaks = new Map(this.#before);
    for (const [tenant, peak] of this.#now) peaks.set(tenant, Math.max(peak, peaks.get(tenant) ?? 0));
    this.#before = this.#now;
    this.#now = new Map(this.#own.entries());
    const most = Math.floor(slots / Math.max(2, peaks.size));
    this.#kept = new Map([...peaks].map(([tenant, peak]) => [tenant, Math.min(peak, most)]));
    this.#free = 0;
    for (const tenant of this.#kept.keys()) this.#free += this.#freeOf(tenant, this.#own.of(tenant));
  }

  #freeOf(tenant: string, own: number): number {
    return Math.max(0, this.kept(tenant) - own);
  }
}
