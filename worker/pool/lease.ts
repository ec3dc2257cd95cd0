/** A loaded sandbox, and the exclusive use of it. */
import type { StartKind } from "../../functions/model/invocation.ts";
import type { CallInput, RunningCall } from "../instance/call.ts";
import type { Instance } from "../instance/instance.ts";

/** How the instance of a lease was come by, and how long that took. */
export interface Start {
  kind: StartKind;
  sandboxMs: number;
  initMs: number;
  /** Unix time in milliseconds at which the version was loaded; 0 for a warm start. */
  loadedAtMs: number;
}

export const WARM: Start = { kind: "warm", sandboxMs: 0, initMs: 0, loadedAtMs: 0 };

/**
 * The use of an instance for one call, after the calls of other leases of it. It ends with the first `release` or
 * `discard`; more of them do nothing.
 */
export interface Lease {
  readonly instance: Instance;
  readonly start: Start;
  /** Hands the call over, once. @throws what `Instance.call` throws. */
  call(input: CallInput): RunningCall;
  /** Gives the instance back for the next call of its version. One that has the call still is ended instead. */
  release(): void;
  /** Ends the instance: whatever it still does, it does no more. */
  discard(reason: string): void;
}

export interface LeaseEnd {
  /** Why the instance must end, or null. */
  discardedFor: string | null;
  /** How long the instance was busy with the call; null when that is not known. */
  tookMs: number | null;
}
