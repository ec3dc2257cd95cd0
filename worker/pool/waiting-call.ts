/** A call that waits for an instance of its version. */
import type { Version } from "../../functions/model/version.ts";
import type { Bundle } from "../code/bundles.ts";
import { clientGone, type Departure } from "../instance/departures.ts";
import type { CallLog } from "../outcome/call-log.ts";
import { CallFailure } from "../outcome/outcome.ts";
import type { Lease } from "./lease.ts";

/** What a call needs an instance for. */
export interface Demand {
  version: Version;
  bundle: Bundle;
  /** Unix time in milliseconds after which the call is no longer worth serving. */
  expiresAtMs: number;
  /** Whether it may stand in line behind other calls of its version, and they behind it. */
  mayShare: boolean;
  /** Says when the client of the call leaves, if it has one. */
  departure?: Departure;
  /** Gets the output of an instance that is started for it. */
  log: CallLog;
}

/** Timers of Node take 31 bits of milliseconds at most. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Settles once: served, failed or expired, whichever comes first; `onOver` hears of it at once. */
export class Waiter {
  readonly demand: Demand;
  readonly served: Promise<Lease>;
  /** Since when it waits, by `performance.now()`. */
  readonly sinceMs = performance.now();
  /** How often an instance that could have made room for it served its own version again instead. */
  timesPassedOver = 0;
  readonly #settle: PromiseWithResolvers<Lease>;
  readonly #timer: NodeJS.Timeout;
  readonly #onOver: (waiter: Waiter) => void;

  constructor(demand: Demand, onOver: (waiter: Waiter) => void) {
    this.demand = demand;
    this.#settle = Promise.withResolvers();
    this.served = this.#settle.promise;
    this.#onOver = onOver;
    const waitMs = Math.min(Math.max(demand.expiresAtMs - Date.now(), 0), LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => this.fail(expired()), waitMs);
    demand.departure?.whenLeft(() => this.fail(clientGone()));
  }

  serve(lease: Lease): void {
    this.#over();
    this.#settle.resolve(lease);
  }

  fail(error: unknown): void {
    this.#over();
    this.#settle.reject(error);
  }

  #over(): void {
    this.demand.departure?.whenLeft(() => {});
    clearTimeout(this.#timer);
    this.#onOver(this);
  }
}

function expired(): CallFailure {
  return new CallFailure(
    "platform_error",
    "EXPIRED",
    "No sandbox was free before the call's time was over. Try again.",
  );
}

/** What becomes of a call that waits while its worker ends. */
export function shuttingDown(): CallFailure {
  return new CallFailure(
    "platform_error",
    "WORKER_LOST",
    "The worker is shutting down; the function did not run. Try again.",
  );
}
