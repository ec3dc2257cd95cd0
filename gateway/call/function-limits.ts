/**
 * How many calls of each function with `concurrency.max` are at the workers, as far as a gateway
 * has given them, and whether one more may go. The others wait in the gateway's line. A function
 * has one limit, that of the version that was called last, over all of its versions.
 */
import type { Invocation } from "../../functions/model/invocation.ts";
import type { Elsewhere } from "../../functions/transport/slot-exchange.ts";
import { Holdings } from "../../infra/std/fair-share.ts";

type OfFunction = Pick<Invocation, "tenant" | "functionName">;

/** The limit of one function. */
export interface FunctionLimit {
  readonly name: string;
  most: number;
  running: number;
}

export class FunctionLimits {
  /** By "tenant/function". */
  readonly #limits = new Map<string, FunctionLimit>();
  #elsewhere: Elsewhere["functions"] = new Map();

  /** Notes what was heard of other gateways. */
  hear({ functions }: Elsewhere): void {
    this.#elsewhere = functions;
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
      this.#limits.set(name, { name, most, running: 0 });
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
    if (limit.running === 0 && isAlone) this.#limits.delete(limit.name);
  }
}

function nameOf({ tenant, functionName }: OfFunction): string {
  return `${tenant}/${functionName}`;
}
