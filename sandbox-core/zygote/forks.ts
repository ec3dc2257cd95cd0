/** The forks of a zygote before they have an order: each gets a place of its own, and one may be spare. */
import { sandboxGroup } from "../cgroup/sweep.ts";
import type { SandboxLimits } from "../contract/sandbox.ts";
import type { Place, Spare } from "../fork/order.ts";
import type { Poller } from "./poller.ts";
import type { Remains } from "./reaper.ts";
import type { House } from "./state.ts";
import { discard, forkSpare } from "./waiting-fork.ts";

export class Forks {
  readonly #house: House;
  readonly #poller: Poller;
  readonly #remains: Remains;
  /** The one that has no order yet, if there is one. */
  #spare: Spare | undefined;
  #count = 0;

  constructor(house: House, poller: Poller, remains: Remains) {
    this.#house = house;
    this.#poller = poller;
    this.#remains = remains;
  }

  get spare(): Spare | undefined {
    return this.#spare;
  }

  /**
   * A fork in a place with these limits, which is the spare one from now on, and watched. Returns on both sides.
   * @throws Error, and then there is no fork, and what there is of its place is cleared away
   */
  make(limits: SandboxLimits, sharesNetwork: boolean): Spare {
    const { ids, cgroups, group: ownGroup } = this.#house;
    const hostId = ids.take();
    const place: Place = { hostId, group: sandboxGroup(ownGroup, hostId), limits, sharesNetwork };
    let spare: Spare | undefined;
    try {
      cgroups.create(place.group, limits);
      spare = forkSpare(++this.#count, place);
      // Whatever follows here must not throw in the fork.
      if (spare.pid === 0) return spare;
      this.#poller.add(spare.pidfd);
    } catch (error) {
      if (spare) discard(spare);
      this.#remains.add(place);
      throw error;
    }
    this.#spare = spare;
    return spare;
  }

  /** The spare one, which has its order now and is this object's no more. */
  spend(): void {
    this.#spare = undefined;
  }

  /** Ends the spare one, and clears its place away. */
  drop(): void {
    const spare = this.#spare;
    if (!spare) return;
    this.#spare = undefined;
    this.#poller.remove(spare.pidfd);
    discard(spare);
    this.#remains.add(spare.place);
  }
}
