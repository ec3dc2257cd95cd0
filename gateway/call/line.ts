/**
 * The calls that a gateway keeps while workers have no room for more, and which of them goes next.
 *
 * Calls that came lately go first come, first served. A call that has waited longer than helps its
 * caller lets those go first, and among such calls the youngest goes first: behind a stall, serving
 * the oldest first would have every later caller wait as long as the stall was, for minutes.
 */

import type { SandpiperError } from "../../functions/model/errors.ts";
import type { Invocation } from "../../functions/model/invocation.ts";

/** A call that is kept. */
export interface HeldCall {
  readonly invocation: Invocation;
  /** The call goes to the workers. */
  go(): void;
  /** The call ends; it did not run. */
  fail(error: SandpiperError): void;
}

export class Line {
  /** Oldest first, by invocation. */
  readonly #fresh = new Map<string, HeldCall>();
  /** Calls that have waited for long; oldest first. */
  #stale = new Map<string, HeldCall>();

  get size(): number {
    return this.#fresh.size + this.#stale.size;
  }

  /** How many calls go before one that comes now. */
  get ahead(): number {
    return this.#fresh.size;
  }

  add(held: HeldCall): void {
    this.#fresh.set(held.invocation.id, held);
  }

  /** Takes a call out; false when it is not here. */
  remove(id: string): boolean {
    return this.#fresh.delete(id) || this.#stale.delete(id);
  }

  /** Has the calls let others go first that were queued before that Unix time. */
  age(queuedBeforeMs: number): void {
    for (const [id, held] of this.#fresh) {
      if (held.invocation.enqueuedAtMs > queuedBeforeMs) continue;
      this.#fresh.delete(id);
      this.#stale.set(id, held);
    }
  }

  /** Takes the calls out that go next, at most so many. */
  takeNext(count: number): HeldCall[] {
    const fresh = [...this.#fresh.values()].slice(0, count);
    const youngest = [...this.#stale.values()].slice(Math.max(0, this.#stale.size - (count - fresh.length)));
    return this.#taken([...fresh, ...youngest.reverse()]);
  }

  /** Takes the calls out whose time is over at that Unix time. */
  takeExpired(nowMs: number): HeldCall[] {
    return this.#taken(this.#all().filter(({ invocation }) => invocation.expiresAtMs <= nowMs));
  }

  takeAll(): HeldCall[] {
    return this.#taken(this.#all());
  }

  #all(): HeldCall[] {
    return [...this.#stale.values(), ...this.#fresh.values()];
  }

  #taken(calls: HeldCall[]): HeldCall[] {
    for (const { invocation } of calls) this.remove(invocation.id);
    return calls;
  }
}
