/**
 * The use of a version's instances for one call: of one, and of the next when that does not begin
 * the call.
 */
import { BodyStream } from "../../functions/transport/body-stream.ts";
import type { Failure } from "../../sandbox-core/protocol/frames.ts";
import type { CallInput, TurnEnd, Usage } from "../instance/call.ts";
import { cancel, clientGone } from "../instance/departures.ts";
import type { Instance } from "../instance/instance.ts";
import { bodyLost, type CallFailure } from "../outcome/outcome.ts";
import type { InstanceLease, Start } from "./instance-lease.ts";
import type { Demand } from "./waiting-call.ts";

/** Turns that a call may lose to calls that take long before it gets an instance to itself. */
const MOST_TURNS_LOST = 2;
/**
 * Most instances that may end before they begin a call: their word for that is not believed for
 * ever.
 */
const MOST_DEATHS = 5;

type Acquire = (demand: Demand) => Promise<InstanceLease>;

const NO_PLACE: TurnEnd = { begun: false, death: null };

/** A call that a function has handled. */
export interface Handled {
  /** Why the function gave no reply, or not all of one. */
  failure: Failure | null;
  /** Resolves when the function left nothing running. */
  idle: Promise<Usage>;
}

/**
 * The use of an instance for one call. An instance that does not begin the call is exchanged for
 * another. The first `release` or `discard` ends the lease; more of them do nothing.
 */
export class Lease {
  readonly #demand: Demand;
  readonly #acquire: Acquire;
  #current: InstanceLease;
  #turnsLost = 0;
  #deaths = 0;

  /** @param acquire gives the use of one instance, as often as asked */
  private constructor(demand: Demand, acquire: Acquire, first: InstanceLease) {
    this.#demand = demand;
    this.#acquire = acquire;
    this.#current = first;
  }

  static async open(demand: Demand, acquire: Acquire): Promise<Lease> {
    return new Lease(demand, acquire, await acquire(demand));
  }

  /** The instance that has the call, or will have it. */
  get instance(): Instance {
    return this.#current.instance;
  }

  get start(): Start {
    return this.#current.start;
  }

  /**
   * Has an instance run the call, once.
   * @throws CallFailure when the instance ends during the call, when no other can be had, or when
   * the client has left.
   */
  async call(input: CallInput): Promise<Handled> {
    if (this.#demand.departure?.hasLeft) throw clientGone();
    // Another instance would get half of it.
    if (input.body instanceof BodyStream && input.body.hasBegun) throw bodyLost();
    const running = this.#current.call(input);
    const end = (await running?.replied) ?? NO_PLACE;
    if (running !== null && end.begun) return { failure: end.failure, idle: running.idle };
    await this.#exchange(end.begun ? null : end.death);
    return this.call(input);
  }

  /** @param death how the instance ended that did not begin the call, or null */
  async #exchange(death: CallFailure | null): Promise<void> {
    this.#current.release();
    this.#turnsLost += 1;
    if (death !== null && ++this.#deaths >= MOST_DEATHS) throw death;
    const beganAtMs = Date.now();
    this.#current = await this.#acquire({ ...this.#demand, mayShare: this.#turnsLost < MOST_TURNS_LOST });
    this.#demand.onExchanged?.(this.start, beganAtMs);
  }

  /**
   * Tells the function that its client left. The instance is ended if the call does not end by
   * that.
   */
  cancel(mayEnd: () => boolean): void {
    const { running, instance } = this.#current;
    const { departure } = this.#demand;
    if (running !== null && departure !== undefined) cancel({ running, instance, departure, mayEnd });
  }

  /**
   * Gives the instance back for the next call of its version. An instance that still has the call
   * is ended instead.
   */
  release(): void {
    this.#current.release();
  }

  /** Ends the instance, whatever it still does. */
  discard(reason: string): void {
    this.#current.discard(reason);
  }
}
