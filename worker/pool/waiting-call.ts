/** A call that waits for an instance of its version. */
import type { Version } from "../../functions/model/version.ts";
import type { Bundle } from "../code/bundles.ts";
import { clientGone, type Departure } from "../instance/departures.ts";
import type { CallLog } from "../outcome/call-log.ts";
import { CallFailure } from "../outcome/outcome.ts";
import type { InstanceLease, Start } from "./instance-lease.ts";

/** A call's wish for an instance. */
export interface Demand {
  version: Version;
  bundle: Bundle;
  /** Unix time in milliseconds after which the call is no longer worth serving. */
  expiresAtMs: number;
  /**
   * Whether the call may be sent ahead behind other calls of its version, and they behind this one.
   */
  mayShare: boolean;
  /** Says when the client of the call leaves, if it has one. */
  departure?: Departure;
  /** Gets the output of an instance that is started for it. */
  log: CallLog;
  /**
   * Told when a lease has exchanged its instance, which took since that Unix time in milliseconds.
   */
  onExchanged?(start: Start, beganAtMs: number): void;
}

/** @throws CallFailure when nobody waits for the reply of a call any more. */
export function refuseIfOver({ expiresAtMs, departure }: Pick<Demand, "expiresAtMs" | "departure">): void {
  if (departure?.hasLeft) throw clientGone();
  if (Date.now() > expiresAtMs) throw new CallFailure("platform_error", "EXPIRED");
}

/** Timers of Node take 31 bits of milliseconds at most. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

interface Wait {
  readonly demand: Demand;
  readonly settle: PromiseWithResolvers<InstanceLease>;
  readonly timer: NodeJS.Timeout;
  stopListening?: (() => void) | undefined;
}

/** Settles once: served, failed or expired, whichever comes first; `onOver` hears of it at once. */
export class Waiter {
  readonly version: Version;
  /** The beginning of the wait, by `performance.now()`. */
  readonly sinceMs = performance.now();
  /**
   * How often an instance that could have made room for it served its own version again instead.
   */
  timesPassedOver = 0;
  readonly #onOver: (waiter: Waiter) => void;
  /**
   * null when the wait is over: old tables of Maps and Sets keep what was taken out of them until
   * the next full collection, and would keep all of a call.
   */
  #wait: Wait | null;

  constructor(demand: Demand, onOver: (waiter: Waiter) => void) {
    this.version = demand.version;
    this.#onOver = onOver;
    const waitMs = Math.min(Math.max(demand.expiresAtMs - Date.now(), 0), LONGEST_TIMER_MS);
    const timer = setTimeout(() => this.fail(expired()), waitMs);
    const wait: Wait = { demand, settle: Promise.withResolvers(), timer };
    this.#wait = wait;
    wait.stopListening = demand.departure?.whenLeft(() => this.fail(clientGone()));
  }

  /** The wish of the call. @throws Error when the wait is over */
  get demand(): Demand {
    return this.#open.demand;
  }

  /** Resolves with the instance. @throws Error when the wait is over */
  get served(): Promise<InstanceLease> {
    return this.#open.settle.promise;
  }

  serve(lease: InstanceLease): void {
    this.#over()?.resolve(lease);
  }

  fail(error: unknown): void {
    this.#over()?.reject(error);
  }

  get #open(): Wait {
    if (this.#wait === null) throw new Error("The wait is over.");
    return this.#wait;
  }

  #over(): PromiseWithResolvers<InstanceLease> | undefined {
    const wait = this.#wait;
    if (wait === null) return undefined;
    this.#wait = null;
    wait.stopListening?.();
    clearTimeout(wait.timer);
    this.#onOver(this);
    return wait.settle;
  }
}

function expired(): CallFailure {
  return new CallFailure(
    "platform_error",
    "EXPIRED",
    "No sandbox was free before the call's time was over. Try again.",
  );
}

/** The failure of a call whose instance would not even fit into an empty worker. */
export function tooLarge(memoryMiB: number): CallFailure {
  const message =
    `The function wants ${memoryMiB} MiB, more than this worker has for all sandboxes. ` +
    "Lower memoryMiB in sandpiper.jsonc, or raise SANDPIPER_MEMORY_BUDGET_BYTES.";
  return new CallFailure("platform_error", "SANDBOX_UNAVAILABLE", message);
}

/** The failure of a call that waits while its worker ends. */
export function shuttingDown(): CallFailure {
  return new CallFailure(
    "platform_error",
    "WORKER_LOST",
    "The worker is shutting down; the function did not run. Try again.",
  );
}
