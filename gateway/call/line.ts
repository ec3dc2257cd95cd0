/**
 * The calls that a gateway keeps while workers have no room for more, and which of them goes next.
 *
 * Tenants share by start-time fair queueing (Goyal, Vin, Cheng: SIGCOMM 1996): each call of a
 * tenant begins, in virtual time, where the tenant's last one ended, and lasts as long as the
 * tenant's calls keep a slot, divided by its weight. The call that begins first goes first. So a
 * tenant with calls of a second gets as much of the slots as one with calls of a millisecond,
 * however many wait, and one of twice the weight twice as much. The functions of a tenant take
 * turns: a function that is called more often than workers have room for has its own calls wait,
 * and not those of others.
 *
 * Of one function's calls those that came lately go first come, first served. A call that has
 * waited longer than helps its caller lets those go first, and among such calls the youngest goes
 * first: behind a stall, serving the oldest first would have every later caller wait as long as the
 * stall was, for minutes.
 */

import type { SandpiperError } from "../../functions/model/errors.ts";
import type { Invocation } from "../../functions/model/invocation.ts";
import { USUAL_WEIGHT } from "../../functions/model/tenants.ts";
import { LruMap } from "../../infra/std/lru.ts";

/** The time that a call is taken to keep a slot of whose tenant nothing is known. */
const UNKNOWN_MS = 1;
/** The weight of the latest call in the mean of its tenant, and how many tenants have one. */
const LATEST_WEIGHT = 0.1;
const MAX_MEANS = 10_000;

/** A call that is kept. */
export interface HeldCall {
  readonly invocation: Invocation;
  /** The call goes to the workers. */
  go(): void;
  /** The call ends; it did not run. */
  fail(error: SandpiperError): void;
}

type OfFunction = Pick<Invocation, "tenant" | "functionName">;

/** Says of whom one more call may go now. */
export interface Admission {
  tenant(tenant: string): boolean;
  function(ref: OfFunction): boolean;
}

/** The calls of one function, by invocation, oldest first. */
interface FunctionLine {
  fresh: Map<string, HeldCall>;
  /** Calls that have waited for long. */
  stale: Map<string, HeldCall>;
}

export class Line {
  readonly #weightOf: (tenant: string) => number;
  /** By tenant and function, each in the order of their next turns. */
  readonly #tenants = new Map<string, Map<string, FunctionLine>>();
  readonly #all = new Map<string, HeldCall>();
  /** Mean time in milliseconds for which calls of a tenant keep a slot. */
  readonly #meansMs = new LruMap<string, number>(MAX_MEANS);
  /** Virtual time in milliseconds: where the last call began, and where tenants' last ended. */
  #nowMs = 0;
  readonly #endsMs = new Map<string, number>();

  /** @param weightOf gives the weight of a tenant */
  constructor(weightOf: (tenant: string) => number = () => USUAL_WEIGHT) {
    this.#weightOf = weightOf;
  }

  get size(): number {
    return this.#all.size;
  }

  /** How many calls of a tenant, or of one function of it, wait. */
  waiting(tenant: string, functionName?: string): number {
    let count = 0;
    for (const [name, { fresh, stale }] of this.#tenants.get(tenant) ?? [])
      if (functionName === undefined || name === functionName) count += fresh.size + stale.size;
    return count;
  }

  has(id: string): boolean {
    return this.#all.has(id);
  }

  /** How many calls go before one of that function that comes now, at most. */
  ahead({ tenant, functionName }: OfFunction): number {
    const functions = this.#tenants.get(tenant);
    const own = functions?.get(functionName);
    const weight = this.#weightOf(tenant);
    let weights = functions === undefined ? weight : 0;
    for (const other of this.#tenants.keys()) weights += this.#weightOf(other);
    const ofTenant = (functions?.size ?? 0) + (own === undefined ? 1 : 0);
    return Math.min(this.size, Math.ceil((((own?.fresh.size ?? 0) + 1) * ofTenant * weights) / weight) - 1);
  }

  add(held: HeldCall): void {
    const { id, tenant, functionName } = held.invocation;
    const functions = this.#tenants.get(tenant) ?? new Map<string, FunctionLine>();
    const line = functions.get(functionName) ?? { fresh: new Map(), stale: new Map() };
    line.fresh.set(id, held);
    functions.set(functionName, line);
    this.#tenants.set(tenant, functions);
    this.#all.set(id, held);
  }

  /** Takes a call out; false when it is not here. */
  remove(id: string): boolean {
    const held = this.#all.get(id);
    if (held === undefined) return false;
    const { tenant, functionName } = held.invocation;
    const functions = this.#tenants.get(tenant);
    const line = functions?.get(functionName);
    line?.fresh.delete(id);
    line?.stale.delete(id);
    if (line?.fresh.size === 0 && line.stale.size === 0) functions?.delete(functionName);
    if (functions?.size === 0) this.#tenants.delete(tenant);
    this.#all.delete(id);
    if (this.size === 0) this.#endsMs.clear();
    return true;
  }

  /** A call of a tenant kept a slot for so long. */
  charge(tenant: string, tookMs: number): void {
    const meanMs = this.#meansMs.get(tenant) ?? tookMs;
    this.#meansMs.set(tenant, meanMs + LATEST_WEIGHT * (tookMs - meanMs));
  }

  /** Has the calls let others go first that were queued before that Unix time. */
  age(queuedBeforeMs: number): void {
    for (const functions of this.#tenants.values()) {
      for (const { fresh, stale } of functions.values()) {
        for (const [id, held] of fresh) {
          if (held.invocation.enqueuedAtMs > queuedBeforeMs) continue;
          fresh.delete(id);
          stale.set(id, held);
        }
      }
    }
  }

  /**
   * Has the calls go that go next, at most so many, and gives how many went.
   * @param admits whether a call of that tenant, and of that function, may go now
   */
  pass(count: number, admits: Admission, go: (held: HeldCall) => void): number {
    const stale = new Map<FunctionLine, HeldCall[]>();
    for (let passed = 0; passed < count; passed++) {
      const next = this.#next(admits);
      if (next === undefined) return passed;
      go(this.#takeOne(next, stale));
    }
    return count;
  }

  /** Takes the calls out whose time is over at that Unix time. */
  takeExpired(nowMs: number): HeldCall[] {
    return this.#taken([...this.#all.values()].filter(({ invocation }) => invocation.expiresAtMs <= nowMs));
  }

  takeAll(): HeldCall[] {
    return this.#taken([...this.#all.values()]);
  }

  /**
   * The tenant whose next call begins first in virtual time, and came first of such, and the
   * function whose turn it is.
   */
  #next(admits: Admission): OfFunction | undefined {
    let next: OfFunction | undefined;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [tenant, functions] of this.#tenants) {
      const beginsMs = this.#beginsMs(tenant);
      if (beginsMs >= nextMs || !admits.tenant(tenant)) continue;
      for (const functionName of functions.keys()) {
        if (!admits.function({ tenant, functionName })) continue;
        [next, nextMs] = [{ tenant, functionName }, beginsMs];
        break;
      }
    }
    return next;
  }

  #beginsMs(tenant: string): number {
    return Math.max(this.#nowMs, this.#endsMs.get(tenant) ?? 0);
  }

  /** @param stale the stale calls of functions, as far as they were listed, oldest first. */
  #takeOne({ tenant, functionName: name }: OfFunction, stale: Map<FunctionLine, HeldCall[]>): HeldCall {
    this.#nowMs = this.#beginsMs(tenant);
    const costMs = this.#meansMs.get(tenant) ?? UNKNOWN_MS;
    this.#endsMs.set(tenant, this.#nowMs + (costMs * USUAL_WEIGHT) / this.#weightOf(tenant));
    const functions = this.#tenants.get(tenant) as Map<string, FunctionLine>;
    const line = functions.get(name) as FunctionLine;
    const isFresh = line.fresh.size > 0;
    if (!isFresh && !stale.has(line)) stale.set(line, [...line.stale.values()]);
    const held = isFresh ? first(line.fresh)[1] : (stale.get(line)?.pop() as HeldCall);
    this.remove(held.invocation.id);
    toTheEnd(functions, name);
    toTheEnd(this.#tenants, tenant);
    return held;
  }

  #taken(calls: HeldCall[]): HeldCall[] {
    for (const { invocation } of calls) this.remove(invocation.id);
    return calls;
  }
}

/** The first entry of a map that has one. */
function first<Key, Value>(map: Map<Key, Value>): [Key, Value] {
  return map.entries().next().value as [Key, Value];
}

/** Has an entry, if it is there, be the last. */
function toTheEnd<Value>(map: Map<string, Value>, key: string): void {
  const value = map.get(key);
  if (value === undefined) return;
  map.delete(key);
  map.set(key, value);
}
