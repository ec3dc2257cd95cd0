/**
 * A fork's own place in its template's sandbox, made and cleared away from outside: a directory
 * that is its /tmp, and a control group with the limits of a sandbox, beside that of the template.
 * So a fork has its own memory, processor time and tasks; what it used is known; and it can be
 * ended with all that it started, whatever that is and whatever its template does, while others go
 * on.
 *
 * A fork moves into it by itself, before it reads a byte of a call: for a single thread that moves
 * itself the kernel need not wait (see joinFiles). The files that it writes to for this are opened
 * here, as a sandbox sees none of them.
 */
import { closeSync, constants, openSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Meter } from "../cgroup/driver.ts";
import type {
  SandboxForkSlot,
  SandboxLimits,
  SandboxReading,
  SandboxStats,
  SandboxUsage,
} from "../contract/sandbox.ts";
import type { SandboxGroup } from "./sandbox-cgroup.ts";

const { O_WRONLY } = constants;
const RETRY_MS = 1;
/** Time for killed processes to leave their group: any that take longer cannot be killed. */
const LONGEST_END_MS = 2_000;

/** The directory that is a fork's /tmp. */
export interface ForkSlotDirectory {
  /** Makes it, and gives a descriptor of it. */
  open(): number;
  remove(): Promise<void>;
}

export class ForkSlot implements SandboxForkSlot {
  readonly #group: SandboxGroup;
  readonly #meter: Meter;
  readonly #limits: SandboxLimits;
  readonly #directory: ForkSlotDirectory;
  #hasDirectory = false;
  /** The figures at its end. */
  #last: SandboxUsage | undefined;

  /** @throws when the kernel refuses a limit, and then nothing is left */
  constructor(group: SandboxGroup, limits: SandboxLimits, directory: ForkSlotDirectory) {
    this.#directory = directory;
    this.#group = group;
    this.#limits = limits;
    this.#meter = group.meter();
    try {
      group.create(limits);
    } catch (error) {
      group.remove();
      throw error;
    }
  }

  /**
   * Descriptors of the directory, and of the files that a fork writes "0" to in order to move in.
   * The caller closes them.
   * @throws Error when the directory or a file cannot be opened
   */
  open(): number[] {
    const open: number[] = [];
    try {
      open.push(this.#directory.open());
      this.#hasDirectory = true;
      for (const file of this.#group.joinFiles(this.#limits)) open.push(openSync(file, O_WRONLY));
      return open;
    } catch (error) {
      for (const fd of open) closeSync(fd);
      throw error;
    }
  }

  get pids(): number[] {
    return this.#last ? [] : this.#group.members();
  }

  get isAtWork(): boolean {
    return !this.#last && this.#group.isAtWork;
  }

  usage(): SandboxReading {
    return this.#last ?? { ...this.#meter.read() };
  }

  oomKills(): number {
    return this.#last?.oomKills ?? this.#group.oomKills();
  }

  stats(): SandboxStats | null {
    return this.#last ? null : this.#group.stats();
  }

  freeze(): Promise<void> {
    return this.#group.freeze();
  }

  thaw(): void {
    if (!this.#last) this.#group.thaw();
  }

  setCpuWeight(weight: number): void {
    if (!this.#last) this.#group.setCpuWeight(weight);
  }

  setCpuIdle(isIdle: boolean): void {
    if (!this.#last) this.#group.setCpuIdle(isIdle);
  }

  kill(): void {
    if (this.#last) return;
    try {
      this.#group.kill();
    } catch {
      // The group is gone with its zygote. Processes that cannot be ended are found by `close`.
    }
  }

  async close(): Promise<SandboxUsage> {
    const deadlineMs = performance.now() + LONGEST_END_MS;
    const metered = this.#meter.read();
    this.#meter.close();
    while (!this.#last) {
      if (this.pids.length > 0) this.kill();
      const usage = this.#group.usage();
      try {
        this.#group.remove();
        // A group that is gone with its zygote says nothing.
        this.#last = usage.cpuMs < metered.cpuMs ? { ...usage, ...metered } : usage;
      } catch (error) {
        // The kernel takes a dead task out of its group a moment after its parent may know.
        if (performance.now() > deadlineMs) throw error;
        await delay(RETRY_MS);
      }
    }
    if (this.#group.hasFrozen) await this.#group.close();
    if (this.#hasDirectory) await this.#directory.remove();
    this.#hasDirectory = false;
    return this.#last;
  }
}
