/** An instance as the pool keeps it, with its place, and the leases of it. */

import type { Sandbox } from "../../sandbox-core/index.ts";
import { MAX_CALLS_IN_LINE } from "../../sandbox-core/protocol/frames.ts";
import type { Instance } from "../instance/instance.ts";
import { InstanceLease, type LeaseEnd, type Start, WARM } from "./instance-lease.ts";
import type { Place } from "./places.ts";
import type { TemplatePlace } from "./template-place.ts";

/** A place with a version in it. */
export class PooledInstance {
  /** Names the version of the tenant that the instance serves, for ever. */
  readonly key: string;
  readonly place: Place;
  #instance: Instance;
  /** How many calls have it. */
  leases = 0;
  /** Whether a call has the instance that wants no other behind itself. */
  #closed = false;
  /** By `performance.now()`. */
  freeSinceMs = 0;
  /** The template of the instance, if it is a fork. */
  readonly templatePlace: TemplatePlace | null;
  #start: Start;

  constructor(key: string, place: Place, instance: Instance, start: Start, templatePlace: TemplatePlace | null) {
    this.templatePlace = templatePlace;
    this.key = key;
    this.place = place;
    this.#instance = instance;
    this.#start = start;
  }

  get instance(): Instance {
    return this.#instance;
  }

  /** Whose version it serves. */
  get tenant(): string {
    return this.key.slice(0, this.key.indexOf("/"));
  }

  /** The sandbox that has its calls now: where each call has a fork to itself, that fork. */
  get sandbox(): Sandbox {
    return this.#instance.sandbox;
  }

  /** Whether it serves no further call: its zygote makes way, or it does. */
  get isOutdated(): boolean {
    return this.place.sandbox.outdated || this.#instance.isOutdated;
  }

  /** Whether the instance was a fork for one call: the next call takes another fork. */
  get isToBeRenewed(): boolean {
    const { successor, isIdle } = this.#instance;
    return !this.place.ending && !this.isOutdated && successor !== null && !isIdle;
  }

  /** @throws Error when it can be used no more */
  async renew(): Promise<void> {
    if (this.#instance.successor !== null) this.#instance = await this.#instance.successor();
  }

  /** Time until the instance was there; 0 once it has served. */
  get startMs(): number {
    return this.#start.initMs || this.#start.sandboxMs;
  }

  /** Whether a call may begin in it now. */
  get usable(): boolean {
    return !this.place.ending && !this.isOutdated && this.instance.isIdle;
  }

  /** Whether a call may wait in it for its turn. */
  get takesCalls(): boolean {
    return (
      !this.#closed &&
      !this.place.ending &&
      !this.isOutdated &&
      this.instance.takesCalls &&
      this.leases < MAX_CALLS_IN_LINE
    );
  }

  /**
   * The same, about to be put among the free ones: the call that takes it from there has a warm
   * start.
   */
  madeFree(): this {
    this.freeSinceMs = performance.now();
    this.#start = WARM;
    return this;
  }

  /**
   * @param mayShare whether calls of other leases may be sent ahead behind this one.
   * @param onEnd told once.
   */
  lease(mayShare: boolean, onEnd: (end: LeaseEnd) => void): InstanceLease {
    const start = this.#start;
    this.#start = WARM;
    this.leases += 1;
    this.#closed = !mayShare;
    return new InstanceLease(this.instance, start, (end) => {
      this.leases -= 1;
      if (!mayShare) this.#closed = false;
      onEnd(end);
    });
  }
}
