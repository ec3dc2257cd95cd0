/**
 * How many calls of each tenant a gateway has given to the queue and not seen end, and whether a
 * tenant may have one more there. Workers have so many slots for calls; what is beyond them would
 * wait in Redis in the order in which it came, a neighbour's call behind all of a flood. So calls
 * beyond the slots wait in the gateways, and the last slots are for tenants that have few; see
 * recent-peaks.ts for those that had some a moment ago.
 */
import { USUAL_WEIGHT } from "../../functions/model/tenants.ts";
import type { Elsewhere } from "../../functions/transport/slot-exchange.ts";
import { Holdings, mayTake, type Taking } from "../../infra/std/fair-share.ts";
import type { FunctionLimit } from "./function-limits.ts";
import { RecentPeaks } from "./recent-peaks.ts";

/** Gives the weight of a tenant; see model/tenants.ts. */
export type WeightOf = (tenant: string) => number;

/** Workers with fewer slots are given as many calls all the same, lest they wait for the next. */
const FEW_SLOTS = 16;
/** So much of the slots is little: other gateways need not know of it. */
const LITTLE_SHARE = 1 / 4;

interface Passed {
  tenant: string;
  /** By `performance.now()`. */
  sinceMs: number;
  limit: FunctionLimit | null;
}

export class SlotShares {
  readonly #weightOf: WeightOf;
  readonly #passed = new Map<string, Passed>();
  readonly #own = new Holdings();
  readonly #peaks = new RecentPeaks(this.#own);
  #elsewhere: Pick<Elsewhere, "gateways" | "calls"> = { gateways: 0, calls: new Holdings() };
  /** Slots of all workers; 0: not known. */
  #slots = 0;

  constructor(weightOf: WeightOf = () => USUAL_WEIGHT) {
    this.#weightOf = weightOf;
  }

  /**
   * Notes what was heard of the workers and of other gateways.
   * @param isReserved whether some slots are kept: a call that waits at a worker would be in one
   */
  hear(slots: number, elsewhere: Pick<Elsewhere, "gateways" | "calls">, isReserved = false): void {
    this.#slots = slots === 0 ? 0 : Math.max(slots, isReserved ? 0 : FEW_SLOTS);
    this.#elsewhere = elsewhere;
  }

  /** Slots that are shared; 0: it is not known how many there are. */
  get slots(): number {
    return this.#slots;
  }

  /** Word for other gateways: calls in course and what is kept; null: none is needed. */
  get word(): Holdings | null {
    const { taken } = this.#peaks;
    return taken.total > this.#slots * LITTLE_SHARE ? taken : null;
  }

  /** Ends a period of a quarter of a second, of which two are a moment. */
  endPeriod(): void {
    // Of all slots each gateway would keep as much as there is, and a tenant's peak be all of it.
    this.#peaks.endPeriod(this.#ownSlots);
  }

  /**
   * Whether one more call of a tenant may go to the workers.
   * @param reserved slots that nobody has and that are not for this call
   */
  admits(tenant: string, reserved = 0): boolean {
    if (this.#slots === 0) return true;
    const { gateways, calls } = this.#elsewhere;
    const own = this.#own.of(tenant);
    const isKept = own < this.#peaks.kept(tenant);
    // One of twice the weight has twice as much when it has as much as another.
    const part = USUAL_WEIGHT / this.#weightOf(tenant);
    const all = {
      own: (own + calls.of(tenant)) * part,
      want: 1,
      used: this.#own.total + calls.total + reserved,
      size: this.#slots,
    };
    if (this.#mayTake(all, isKept)) return true;
    if (gateways === 0) return false;
    // Each gateway has its part, whatever others do with theirs.
    const size = this.#ownSlots;
    const used = this.#own.total + Math.ceil(reserved / (gateways + 1));
    return this.#mayTake({ own: own * part, want: 1, used, size }, isKept);
  }

  get #ownSlots(): number {
    return Math.floor(this.#slots / (this.#elsewhere.gateways + 1));
  }

  /** A tenant with an equal part leaves the slots that others had a moment ago. */
  #mayTake(taking: Taking, isKept: boolean): boolean {
    const { own, used, size } = taking;
    if (isKept) return used < size;
    if (own < Math.floor(size / this.#peaks.tenants)) return mayTake(taking);
    return mayTake({ ...taking, used: used + this.#peaks.free });
  }

  /** A call goes to the workers. @param limit its function's */
  pass(id: string, tenant: string, limit: FunctionLimit | null = null): void {
    if (limit !== null) limit.running += 1;
    this.#passed.set(id, { tenant, sinceMs: performance.now(), limit });
    this.#own.add(tenant, 1);
    this.#peaks.changed(tenant, 1);
  }

  /** A call has ended, or is back; null when it was not there. */
  end(id: string): { tenant: string; tookMs: number; limit: FunctionLimit | null } | null {
    const passed = this.#passed.get(id);
    if (passed === undefined) return null;
    this.#passed.delete(id);
    this.#own.add(passed.tenant, -1);
    this.#peaks.changed(passed.tenant, -1);
    return { tenant: passed.tenant, tookMs: performance.now() - passed.sinceMs, limit: passed.limit };
  }
}
