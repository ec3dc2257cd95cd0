/**
 * The control group of the platform's own processes. Every call passes through them, so functions
 * that burn processors would make calls of all tenants wait if sandboxes outweighed them.
 */
import { readFileSync } from "node:fs";
import { ownerName } from "../contract/owner.ts";
import { type CgroupDriver, ROOT_GROUP } from "./driver.ts";
import { createOwnerGroup, removeRootGroup, removeTree } from "./sweep.ts";

/** Each zygote's sandboxes beside it weigh 100 together. They use what the platform leaves them. */
const PLATFORM_WEIGHT = 10_000;

/** How many this process has opened: each has a name of its own. */
let opened = 0;

export class PlatformGroup {
  readonly #driver: CgroupDriver;
  readonly path: string;

  private constructor(driver: CgroupDriver, path: string) {
    this.#driver = driver;
    this.path = path;
  }

  /**
   * Makes the group, beside those of sandboxes: within the weight that sandboxes have against the
   * rest of the machine, the platform outweighs them all.
   * @throws CgroupsError that says why the kernel refuses, and what to do
   */
  static open(driver: CgroupDriver): PlatformGroup {
    // The name begins with its owner's, so that a sweep removes what a killed one left.
    const path = `${ROOT_GROUP}/${ownerName(process.pid)}-platform-${opened++}`;
    createOwnerGroup(driver, path, () => driver.createCpuGroup(path));
    driver.setCpuWeight(path, PLATFORM_WEIGHT);
    return new PlatformGroup(driver, path);
  }

  /**
   * Moves a process here, with what it starts from now on. Does nothing when it has ended.
   * @throws Error of node:fs where the kernel refuses
   */
  add(pid: number): void {
    this.#driver.moveForCpu(this.path, pid);
  }

  /**
   * Removes the group, after its processes were ended; the next sweep does when something in it
   * cannot end.
   */
  async close(): Promise<void> {
    await removeTree(this.#driver, this.path).catch(() => undefined);
    removeRootGroup(this.#driver);
  }
}

/**
 * Why processes stay where they are: version 2 has one hierarchy, in which systemd finds the
 * processes of its services. Null where they may be moved.
 * @param own what /proc/self/cgroup says
 */
export function whyNotMoved(driver: CgroupDriver, own = readFileSync("/proc/self/cgroup", "utf8")): string | null {
  if (driver.version === 1) return null;
  const group = /^0::(.*)$/m.exec(own)?.[1] ?? "/";
  const unit = group.split("/").findLast((name) => /\.(service|scope)$/.test(name));
  return unit?.endsWith(".service") ? `they are of systemd's ${unit}` : null;
}
