/**
 * The forks of a zygote before they have an order: each gets a place of its own, and at most one
 * waits.
 */
import { sandboxGroup } from "../cgroup/sweep.ts";
import type { SandboxLimits } from "../contract/sandbox.ts";
import type { Place, WaitingFork } from "../fork/order.ts";
import type { Poller } from "./poller.ts";
import type { Reaper } from "./reaper.ts";
import type { ZygoteState } from "./state.ts";
import { discard, forkWaiting } from "./waiting-fork.ts";

export class Forks {
  readonly #state: ZygoteState;
  readonly #poller: Poller;
  readonly #reaper: Reaper;
  /** The fork that has no order yet, if there is one. */
  #waiting: WaitingFork | undefined;
  #count = 0;

  constructor(state: ZygoteState, poller: Poller, reaper: Reaper) {
    this.#state = state;
    this.#poller = poller;
    this.#reaper = reaper;
  }

  get waiting(): WaitingFork | undefined {
    return this.#waiting;
  }

  /**
   * Makes a fork in a place with these limits. From now on it is the waiting one, and watched.
   * Returns on both sides.
   * @throws Error, and then there is no fork, and its place is cleared away
   */
  make(limits: SandboxLimits, sharesNetwork: boolean): WaitingFork {
    const { ids, cgroups, group: ownGroup } = this.#state;
    const hostId = ids.take();
    const place: Place = { hostId, group: sandboxGroup(ownGroup, hostId), limits, sharesNetwork };
    let waiting: WaitingFork | undefined;
    try {
      cgroups.create(place.group, limits);
      waiting = forkWaiting(++this.#count, place);
      // Whatever follows here must not throw in the fork.
      if (waiting.pid === 0) return waiting;
      this.#poller.add(waiting.pidfd);
    } catch (error) {
      if (waiting) discard(waiting);
      this.#reaper.add(place);
      throw error;
    }
    this.#waiting = waiting;
    return waiting;
  }

  /** Gives up the waiting fork, which has its order now. */
  spend(): void {
    this.#waiting = undefined;
  }

  /** Ends the waiting one, and clears its place away. */
  drop(): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    this.#waiting = undefined;
    this.#poller.remove(waiting.pidfd);
    discard(waiting);
    this.#reaper.add(waiting.place);
  }
}
