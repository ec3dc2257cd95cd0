/** The worker's hold on the control group of one sandbox: its figures, and freezing it. */
import type { CgroupDriver, Meter } from "../cgroup/driver.ts";
import { removeTree } from "../cgroup/sweep.ts";
import { SandboxError } from "../contract/error.ts";
import type { SandboxLimits, SandboxStats, SandboxUsage } from "../contract/sandbox.ts";
import { ThreadLooks } from "./tasks.ts";

export class SandboxGroup {
  readonly #driver: CgroupDriver;
  /** Its name, as the driver takes it. */
  readonly path: string;
  readonly #looks = new ThreadLooks();
  /**
   * The last freeze. Its group has to be removed here, as it may be made after the zygote removed
   * the rest.
   */
  #freezing: Promise<void> | undefined;

  constructor(driver: CgroupDriver, path: string) {
    this.#driver = driver;
    this.path = path;
  }

  stats(): SandboxStats {
    return this.#driver.stats(this.path);
  }

  oomKills(): number {
    return this.#driver.oomKills(this.path);
  }

  /** Process ids of everything in it. */
  members(): number[] {
    return this.#driver.members(this.path);
  }

  /** Whether something in it runs, or would if the machine let it; see `ThreadLooks`. */
  get isAtWork(): boolean {
    return this.#looks.isAnyAtWork(this.#driver.threads(this.path));
  }

  /** A group beside it, which is not made yet. */
  beside(name: string): SandboxGroup {
    return new SandboxGroup(this.#driver, `${this.path}.${name}`);
  }

  /** @throws when the kernel refuses a limit */
  create(limits: SandboxLimits): void {
    this.#driver.create(this.path, limits);
  }

  /** The files that a process writes "0" to in order to join it. */
  joinFiles(limits: SandboxLimits): string[] {
    return this.#driver.joinFiles(this.path, limits);
  }

  /** Never throws: a group that is gone needs no weight. */
  setCpuWeight(weight: number): void {
    try {
      this.#driver.setCpuWeight(this.path, weight);
    } catch {
      // The group is gone with its sandbox.
    }
  }

  /** Never throws, as `setCpuWeight`. */
  setCpuIdle(isIdle: boolean): void {
    try {
      this.#driver.setCpuIdle(this.path, isIdle);
    } catch {
      // The group is gone with its sandbox.
    }
  }

  meter(): Meter {
    return this.#driver.meter(this.path);
  }

  usage(): SandboxUsage {
    return this.#driver.usage(this.path);
  }

  /** Ends everything in it, and lets nothing new begin there. */
  kill(): void {
    this.#driver.kill(this.path);
  }

  /** @throws EBUSY while a process is in it */
  remove(): void {
    this.#driver.remove(this.path);
  }

  /** Stops everything in it. @throws SandboxError as Sandbox.freeze does */
  freeze(): Promise<void> {
    this.#freezing = this.#driver.freeze(this.path).catch((cause: Error) => {
      throw cause instanceof SandboxError
        ? cause
        : new SandboxError(`it cannot be frozen: ${cause.message}`, { cause });
    });
    return this.#freezing;
  }

  thaw(): void {
    this.#driver.thaw(this.path);
  }

  /** Whether there is something for `close` to remove. */
  get hasFrozen(): boolean {
    return this.#freezing !== undefined;
  }

  /** After the sandbox's end: removes what freezing made. */
  async close(): Promise<void> {
    await this.#freezing?.catch(() => undefined);
    await removeTree(this.#driver, this.path);
  }
}
