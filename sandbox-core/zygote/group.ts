/** The worker's hold on the control group of one sandbox: its figures, and freezing it. */
import type { CgroupDriver } from "../cgroup/driver.ts";
import { removeTree } from "../cgroup/sweep.ts";
import { SandboxError } from "../error.ts";
import type { SandboxStats } from "../index.ts";

export class SandboxGroup {
  readonly #driver: CgroupDriver;
  /** Its name, as the driver takes it. */
  readonly path: string;
  /** The last freeze: what it makes has to be removed, and may be made after the zygote removed the rest. */
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
