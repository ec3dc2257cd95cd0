/**
 * Removes the remnants of dead sandboxes: a group, and with it a host user. The kernel takes a dead
 * task out of its group a moment after its parent may know, so removing the group may have to be
 * tried again. The zygote serves on meanwhile, and tells of the end only then.
 */
import type { CgroupDriver } from "../cgroup/driver.ts";
import { groupsOf } from "../cgroup/sweep.ts";
import type { Response } from "../protocol/control.ts";
import { sys } from "../syscall/libc.ts";
import type { HostIds } from "./host-ids.ts";

const LONGEST_WAIT_MS = 100;
/** A zygote that leaves waits for what is left up to two seconds; the next one removes it then. */
const MOST_LAST_ATTEMPTS = 65;

/** One sandbox that is gone, or was never made. */
export interface Remnant {
  group: string;
  /** None when somebody else gives it back. */
  hostId?: number;
  /**
   * The message to the worker once nothing is left; none for a sandbox that the worker never heard
   * of.
   */
  response?: Response;
}

export class Reaper {
  readonly #cgroups: CgroupDriver;
  readonly #ids: HostIds;
  readonly #say: (response: Response) => void;
  #left: Remnant[] = [];
  #attempts = 0;

  constructor(cgroups: CgroupDriver, ids: HostIds, say: (response: Response) => void) {
    this.#cgroups = cgroups;
    this.#ids = ids;
    this.#say = say;
  }

  /** Clears it away now, or as soon as that can be done. */
  add(remnant: Remnant): void {
    this.#left.push(remnant);
    this.#attempts = 0;
    this.clear();
  }

  /** Adds what is left of an owner's groups: those of forks' slots, whose worker is gone. */
  addAllOf(owner: string): void {
    for (const group of groupsOf(this.#cgroups, owner)) this.add({ group });
  }

  /** After how many milliseconds `clear` is to be called again; -1 when nothing is left. */
  get waitMs(): number {
    return this.#left.length === 0 ? -1 : Math.min(this.#attempts, LONGEST_WAIT_MS);
  }

  /** Removes what can be removed, gives the host users of that back, and tells the worker. */
  clear(): void {
    this.#attempts += 1;
    this.#left = this.#left.filter((remnant) => !this.#cleared(remnant));
  }

  /** Clears everything away, and waits for it. */
  clearAll(): void {
    for (let attempt = 0; this.waitMs >= 0 && attempt < MOST_LAST_ATTEMPTS; attempt++) {
      sys.poll(Buffer.alloc(0), 0, this.waitMs);
      this.clear();
    }
  }

  #cleared({ group, hostId, response }: Remnant): boolean {
    try {
      this.#cgroups.remove(group);
    } catch {
      // EBUSY for a moment. Whatever else it is, a group that is there still has a user that must
      // not be used again.
      return false;
    }
    if (hostId !== undefined) this.#ids.giveBack(hostId);
    if (response !== undefined) this.#say(response);
    return true;
  }
}
