/**
 * Ends what is left in a group and removes it: after a zygote died, and at the start for those that
 * died unseen.
 */
import { setTimeout as delay } from "node:timers/promises";
import { CgroupsError } from "../contract/error.ts";
import { isOwnerAlive, ownerName } from "../contract/owner.ts";
import { type CgroupDriver, ROOT_GROUP } from "./driver.ts";

const RETRY_MS = 10;
const MOST_RETRIES = 500;
const MOST_SWEEP_RETRIES = 50;
const MOST_ATTEMPTS = 10;

/** The group that holds the sandboxes of a process. */
export function ownerGroup(pid: number): string {
  return `${ROOT_GROUP}/${ownerName(pid)}`;
}

/**
 * The group of the sandbox that has this host user: beside its owner's, so that the kernel has all
 * sandboxes of the machine compete with each other, and not those of one owner with all of
 * another. Users come again and so do the names of groups: the kernel remembers each name that a
 * directory ever had, and would have six more to remember after every sandbox.
 */
export function sandboxGroup(owner: string, hostUid: number): string {
  return `${owner}-${hostUid}`;
}

/**
 * Kills everything in the group and the groups below, and removes them.
 * @throws Error when something in it cannot be killed within five seconds, or as many tries of ten
 * milliseconds.
 */
export async function removeTree(driver: CgroupDriver, path: string, mostRetries = MOST_RETRIES): Promise<void> {
  for (const child of driver.children(path)) await removeTree(driver, `${path}/${child}`, mostRetries);
  for (let retry = 0; ; retry++) {
    if (driver.members(path).length > 0) driver.kill(path);
    try {
      return driver.remove(path);
    } catch (error) {
      // A killed process leaves its group a moment after the signal.
      if ((error as NodeJS.ErrnoException).code !== "EBUSY" || retry >= mostRetries) throw error;
    }
    await delay(RETRY_MS);
  }
}

/**
 * Removes the groups of owners that are gone, as far as that can be done within half a second: what
 * is stuck is left for later, as nobody else may be kept from beginning by it.
 */
export async function sweepDead(driver: CgroupDriver): Promise<void> {
  const dead = driver.children(ROOT_GROUP).filter((name) => !isOwnerAlive(name));
  const removals = dead.map((name) => removeTree(driver, `${ROOT_GROUP}/${name}`, MOST_SWEEP_RETRIES));
  await Promise.allSettled(removals);
}

/** The groups of an owner's sandboxes, and of forks' slots in them. */
export function groupsOf(driver: CgroupDriver, owner: string): string[] {
  const names = driver.children(ROOT_GROUP).map((name) => `${ROOT_GROUP}/${name}`);
  return names.filter((path) => path.startsWith(`${owner}-`));
}

/**
 * Ends what is left of an owner and its sandboxes, and removes their groups.
 * @throws as `removeTree` does
 */
export async function removeOwner(driver: CgroupDriver, owner: string): Promise<void> {
  await Promise.all([...groupsOf(driver, owner), owner].map((path) => removeTree(driver, path)));
}

/** Removes the group that all of ours are below, unless somebody else has sandboxes in it. */
export function removeRootGroup(driver: CgroupDriver): void {
  try {
    driver.remove(ROOT_GROUP);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
  }
}

/**
 * Makes the group of an owner, again when another owner removed the root group between our two
 * steps.
 * @throws CgroupsError that says why the kernel refuses, and what to do
 */
export function createOwnerGroup(driver: CgroupDriver, group: string): void {
  for (let attempt = 1; ; attempt++) {
    try {
      driver.createParent(group);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || attempt === MOST_ATTEMPTS) throw notMade(error);
    }
  }
}

/** Why the kernel refuses a group for all sandboxes, and what to do. */
const REFUSALS: Record<string, string> = {
  EROFS: "it is mounted read-only: mount it writable",
  EACCES: "this process may not write there: give it the right to, or run it outside of a container",
  EPERM: "this process may not write there: give it the right to, or run it outside of a container",
  EBUSY:
    "groups below can have no limits, as processes are in the group itself: move them into a group below it, as systemd's Delegate=yes with DelegateSubgroup= does",
  ENOSPC: "there are as many groups as may be: raise cgroup.max.descendants above it, or end what has so many",
  EAGAIN: "there are as many groups as may be: raise cgroup.max.descendants above it, or end what has so many",
};

function notMade(error: unknown): unknown {
  const { code = "", path = "" } = error as NodeJS.ErrnoException;
  const why = REFUSALS[code];
  if (why === undefined) return error;
  return new CgroupsError(`control groups cannot be made at ${path} (${code}): ${why}`, { cause: error });
}
