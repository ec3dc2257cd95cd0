/**
 * How many calls of each function with `concurrency.max` are at the workers, as far as a gateway
 * has given them, and whether one more may go. The others wait in the gateway's line. A function
 * has one limit, that of the version that was called last, over all of its versions. Of functions
 * with `concurrency.reserved` calls are counted, too: slots that theirs do not use stay free.
 */
import type { Invocation } from "../../functions/model/invocation.ts";
import { keptSlots } from "../../functions/model/provisions/reserved.ts";
import type { Elsewhere } from "../../functions/transport/slot-exchange.ts";
import { Holdings } from "../../infra/std/fair-share.ts";
import type { Admission } from "./line.ts";

type OfFunction = Pick<Invocation, "tenant" | "functionName">;

/** Words of other gateways, and how many slots functions ask for, by "tenant/function". */
export interface ElsewhereAndReserved extends Elsewhere {
  reserved: ReadonlyMap<string, number>;
}

/** The limit of one function. */
export interface FunctionLimit {
  readonly name: string;
  most: number;
  running: number;
  /** Slots that are kept for it. */
  reserved: number;
}

export class FunctionLimits {
  /** By "tenant/function". */
  readonly #limits = new Map<string, FunctionLimit>();
  #elsewhere: Elsewhere["functions"] = new Map();
  /** Those of which slots are kept. */
  #reserved: readonly FunctionLimit[] = [];

  /** Notes what was heard of other gateways, and what is kept of so many slots. */
  hear({ functions, reserved }: ElsewhereAndReserved, slots: number): void {
    this.#elsewhere = functions;
    const kept = keptSlots(reserved, slots);
    for (const limit of this.#reserved) {
      limit.reserved = 0;
      if (limit.running === 0) this.#limits.delete(limit.name);
    }
    for (const [name, count] of kept) {
      const limit = this.#limits.get(name) ?? { name, most: Number.POSITIVE_INFINITY, running: 0, reserved: 0 };
      limit.reserved = count;
      this.#limits.set(name, limit);
    }
    this.#reserved = [...this.#limits.values()].filter((limit) => limit.reserved > 0);
  }

  /** Slots that are kept. */
  get reserved(): number {
    return this.#reserved.reduce((sum, limit) => sum + limit.reserved, 0);
  }

  /** Slots that are kept and not used. */
  get free(): number {
    let count = 0;
    for (const limit of this.#reserved) count += Math.max(0, limit.reserved - this.#runningOf(limit));
    return count;
  }

  /** Whether a slot is kept for one more call of a function, which no other call may have. */
  isReserved(call: OfFunction): boolean {
    if (this.#reserved.length === 0) return false;
    const limit = this.of(call);
    return limit !== null && this.#runningOf(limit) < limit.reserved;
  }

  /** @param mayTake whether one more call of a tenant may have a slot that is kept for nobody */
  admission(mayTake: (tenant: string) => boolean): Admission {
    if (this.#reserved.length === 0) return { tenant: mayTake, function: (call) => this.admits(call) };
    const has = (tenant: string) => this.#reserved.some(({ name }) => name.startsWith(`${tenant}/`));
    return {
      tenant: (tenant) => has(tenant) || mayTake(tenant),
      function: (call) => this.admits(call) && (this.isReserved(call) || mayTake(call.tenant)),
    };
  }

  /** Calls of functions with a limit, as other gateways need to know; null: none. */
  get word(): Holdings | null {
    const calls = new Holdings();
    for (const { name, running } of this.#limits.values()) if (running > 0) calls.add(name, running);
    return calls.total > 0 ? calls : null;
  }

  /** Notes the limit of a function of which a call has come. @param most 0: any number */
  set(call: OfFunction, most: number): void {
    if (most === 0 && this.#limits.size === 0) return;
    const limit = this.of(call);
    if (limit !== null) limit.most = most === 0 ? Number.POSITIVE_INFINITY : most;
    else if (most > 0) {
      const name = nameOf(call);
      this.#limits.set(name, { name, most, running: 0, reserved: 0 });
    }
  }

  /** The limit of a function; null: it has none. */
  of(call: OfFunction): FunctionLimit | null {
    return this.#limits.size === 0 ? null : (this.#limits.get(nameOf(call)) ?? null);
  }

  /** Whether one more call of a function may go to the workers. */
  admits(call: OfFunction): boolean {
    const limit = this.of(call);
    if (limit === null) return true;
    const elsewhere = this.#elsewhere.get(limit.name);
    if (limit.running + (elsewhere?.calls ?? 0) < limit.most) return true;
    if (elsewhere === undefined) return false;
    // Each gateway has its part, and one at least, whatever others do with theirs.
    return limit.running < Math.max(1, Math.floor(limit.most / (elsewhere.gateways + 1)));
  }

  /** A call of a function is over. @param isAlone whether no call waits that could be of it */
  end(limit: FunctionLimit, isAlone: boolean): void {
    limit.running -= 1;
    if (limit.running === 0 && isAlone && limit.reserved === 0) this.#limits.delete(limit.name);
  }

  #runningOf({ name, running }: FunctionLimit): number {
    return running + (this.#elsewhere.get(name)?.calls ?? 0);
  }
}

function nameOf({ tenant, functionName }: OfFunction): string {
  return `${tenant}/${functionName}`;
}
