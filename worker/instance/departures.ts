/** Clients that left before their reply, and the end of their calls. */

import type { Invocation } from "../../functions/model/invocation.ts";
import { type Cancellation, MAX_CANCELLED } from "../../functions/transport/cancellations.ts";
import { CallFailure } from "../outcome/outcome.ts";
import type { RunningCall } from "./call.ts";
import type { Instance } from "./instance.ts";

/** Time for a function to end a call that was cancelled; then its instance is ended. */
const GRACE_MS = 500;
/**
 * Most instances of one function that are ended in a second because their clients left. To start
 * others costs more than to connect and leave: beyond this, a call holds its instance for as long
 * as it would have anyway, or until the next second.
 */
const MOST_ENDS_PER_SECOND = 8;

/** The failure of a call whose client left. */
export function clientGone(): CallFailure {
  return new CallFailure("cancelled", "CLIENT_GONE");
}

/** Whether the client of one call has left, and the actions for that moment. */
export class Departure {
  #hasLeft = false;
  #hasBegun = false;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;
  #actions: (() => void)[] = [];

  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  /** Whether an instance has the call. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** An instance has the call from now on. */
  begin(): void {
    this.#hasBegun = true;
  }

  /**
   * Does something when the client leaves, or at once when it has left already. Returns what
   * prevents that.
   */
  whenLeft(action: () => void): () => void {
    if (!this.#isOver) this.#actions.push(action);
    if (this.#hasLeft) action();
    return () => {
      this.#actions = this.#actions.filter((one) => one !== action);
    };
  }

  leave(): void {
    if (this.#hasLeft || this.#isOver) return;
    this.#hasLeft = true;
    for (const action of this.#actions) action();
  }

  /** Does something after a while, unless the call is over by then. */
  later(afterMs: number, action: () => void): void {
    if (!this.#isOver) this.#timer = setTimeout(action, afterMs);
  }

  /**
   * The call has ended. Keeps nothing of it: a Map is a table that is copied now and then, and old
   * tables, which wait for a full collection, keep what they had, and the next table.
   */
  close(): void {
    this.#isOver = true;
    this.#actions = [];
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/**
 * The calls that a worker has in hand, and cancelled calls that have not come yet: the worker will
 * not begin them.
 */
export class Departures {
  readonly #inHand = new Map<string, Departure>();
  /** By invocation: until when the call may come. Oldest first. */
  readonly #heard = new Map<string, number>();
  #secondBeganMs = 0;
  readonly #endsInSecond = new Map<string, number>();

  /** A call has come; `close` it when it has ended. */
  open(id: string): Departure {
    const departure = new Departure();
    this.#inHand.set(id, departure);
    if (this.#heard.delete(id)) departure.leave();
    return departure;
  }

  close(id: string): void {
    this.#inHand.get(id)?.close();
    this.#inHand.delete(id);
  }

  hear({ id, overAtMs, unlessBegun }: Cancellation): void {
    const departure = this.#inHand.get(id);
    if (departure === undefined) this.#keep(id, overAtMs);
    else if (!unlessBegun || !departure.hasBegun) departure.leave();
  }

  #keep(id: string, overAtMs: number): void {
    this.#heard.set(id, overAtMs);
    const nowMs = Date.now();
    for (const [oldest, untilMs] of this.#heard) {
      if (untilMs > nowMs && this.#heard.size <= MAX_CANCELLED) break;
      this.#heard.delete(oldest);
    }
  }

  /** Whether one more instance of the function may be ended now; counts it. */
  mayEnd({ tenant, functionName }: Invocation): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#secondBeganMs >= 1_000) {
      this.#secondBeganMs = nowMs;
      this.#endsInSecond.clear();
    }
    const key = `${tenant}/${functionName}`;
    const ends = (this.#endsInSecond.get(key) ?? 0) + 1;
    if (ends > MOST_ENDS_PER_SECOND) return false;
    this.#endsInSecond.set(key, ends);
    return true;
  }
}

export interface Cancelled {
  running: RunningCall;
  instance: Instance;
  departure: Departure;
  mayEnd: () => boolean;
}

/**
 * Tells a function that its client left, and ends its instance if the call does not end by that.
 */
export function cancel({ running, instance, departure, mayEnd }: Cancelled): void {
  running.cancel();
  const endIt = () => {
    if (running.isOver) return;
    if (running.hasBegun && mayEnd()) instance.end({ by: "client_gone" });
    else departure.later(GRACE_MS, endIt);
  };
  departure.later(GRACE_MS, endIt);
}
