/** The use of one instance for one call. */
import type { StartKind } from "../../functions/model/invocation.ts";
import type { CallInput, RunningCall } from "../instance/call.ts";
import type { Instance } from "../instance/instance.ts";

/** How a lease got its instance, and how long that took. */
export interface Start {
  kind: StartKind;
  sandboxMs: number;
  initMs: number;
  /** Unix time in milliseconds at which the version was loaded; 0 for a warm start. */
  loadedAtMs: number;
}

export const WARM: Start = { kind: "warm", sandboxMs: 0, initMs: 0, loadedAtMs: 0 };

export interface LeaseEnd {
  /** Why the instance must end, or null. */
  discardedFor: string | null;
  /** How long the instance was busy with the call; null when that is not known. */
  tookMs: number | null;
}

/**
 * The use of an instance for one call, after the calls of other leases of that instance. The first
 * `release` or `discard` ends the lease; more of them do nothing.
 */
export class InstanceLease {
  readonly instance: Instance;
  readonly start: Start;
  readonly #onEnd: (end: LeaseEnd) => void;
  #running: RunningCall | null = null;
  #over = false;

  constructor(instance: Instance, start: Start, onEnd: (end: LeaseEnd) => void) {
    this.instance = instance;
    this.start = start;
    this.#onEnd = onEnd;
  }

  /** The call that was handed over, once it was. */
  get running(): RunningCall | null {
    return this.#running;
  }

  /** Hands the call over, once, as `Instance.call` does. */
  call(input: CallInput): RunningCall | null {
    this.#running = this.instance.call(input);
    return this.#running;
  }

  /**
   * Gives the instance back for the next call of its version. An instance that still has the call
   * is ended instead.
   */
  release(): void {
    const isOver = this.#running === null || this.#running.isOver || this.instance.leftItsTemplate;
    this.#end(isOver ? null : "its call had not finished");
  }

  /** Ends the instance, whatever it still does. */
  discard(reason: string): void {
    this.#end(reason);
  }

  #end(discardedFor: string | null): void {
    if (this.#over) return;
    this.#over = true;
    this.#onEnd({ discardedFor, tookMs: this.#running?.tookMs ?? null });
  }
}
