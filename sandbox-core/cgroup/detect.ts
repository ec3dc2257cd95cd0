/** Which control groups this machine has: asked once, from the table of mounts. */
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CgroupsError, UnsupportedLimitError } from "../contract/error.ts";
import type { CgroupDriver, GroupLimits, OptionalLimit } from "./driver.ts";
import { type CgroupMount, cgroupMounts } from "./mounts.ts";
import { type ControllerMounts, cgroupV1, OPTIONAL_V1, REQUIRED_V1 } from "./v1.ts";
import { cgroupV2 } from "./v2.ts";

const REQUIRED_V2 = ["memory", "cpu", "pids"] as const;

/**
 * The driver for this machine: version 2 where its root offers the controllers, else version 1. A
 * hybrid machine, with its controllers on version 1, uses an empty version 2 beside them for what
 * that does better.
 * @throws CgroupsError that names the controllers that are missing and says where the others are,
 * or that says why this process may not use them
 */
export function detectCgroups(mountinfo?: string): CgroupDriver {
  const mounts = cgroupMounts(mountinfo);
  const version2 = mounts.find(({ version }) => version === 2);
  const unified = version2?.directory;
  const offered = unified === undefined ? [] : offeredBy(unified);
  if (unified !== undefined && REQUIRED_V2.every((name) => offered.includes(name))) {
    assertOurs(unified);
    return cgroupV2(unified, offered);
  }
  const found = findV1(mounts);
  const missing = REQUIRED_V1.filter((controller) => !found[controller]);
  if (missing.length > 0) throw new CgroupsError(whatIsMissing(missing, offered));
  assertOurs(found.memory as string);
  return cgroupV1({
    ...(found as ControllerMounts),
    ...(unified !== undefined && version2?.writable ? { unified } : {}),
  });
}

/**
 * The values that an optional limit may have: the kernel clamps some others in silence, and io.max
 * takes no 1.
 */
const RANGES: Record<OptionalLimit, [least: number, most: number]> = {
  memoryHighBytes: [1, Number.MAX_SAFE_INTEGER],
  cpuWeight: [1, 10_000],
  ioReadBps: [2, Number.MAX_SAFE_INTEGER],
  ioWriteBps: [2, Number.MAX_SAFE_INTEGER],
  ioReadIops: [2, 4_294_967_294],
  ioWriteIops: [2, 4_294_967_294],
};

/**
 * Checks the optional limits before anything is made.
 * @throws UnsupportedLimitError for one that this machine cannot keep, or that is out of its range
 */
export function assertSupported(driver: CgroupDriver, limits: GroupLimits): void {
  for (const [name, [least, most]] of Object.entries(RANGES)) {
    const limit = name as OptionalLimit;
    const value = limits[limit];
    if (value === undefined) continue;
    const lacks = driver.lacks[limit];
    if (lacks !== undefined) throw new UnsupportedLimitError(limit, lacks);
    if (!Number.isInteger(value) || value < least || value > most)
      throw new UnsupportedLimitError(limit, `${value} is not a whole number from ${least} to ${most}`);
  }
}

function findV1(mounts: readonly CgroupMount[]): Partial<ControllerMounts> {
  return Object.fromEntries(
    [...REQUIRED_V1, ...OPTIONAL_V1].flatMap((controller) => {
      const mount = mounts.find(({ controllers }) => controllers.includes(controller));
      return mount ? [[controller, mount.directory]] : [];
    }),
  );
}

function whatIsMissing(missing: readonly string[], offered: readonly string[]): string {
  const elsewhere = missing.filter((controller) => offered.includes(controller));
  // A controller is in one hierarchy at a time.
  if (elsewhere.length > 0)
    return (
      `the controllers of this machine are on both versions of control groups: ${elsewhere.join(", ")} on version 2, ` +
      "others on version 1. Boot with all of them on one, such as version 2: cgroup_no_v1=all"
    );
  return `no control group controller ${missing.join(", ")}: mount cgroup2 on /sys/fs/cgroup, or boot with these enabled`;
}

/**
 * Whether this process may make groups. A subtree that was delegated to a user (systemd's user
 * slice) would do for the groups, and is refused nevertheless: users of their own for sandboxes,
 * and mounts that no sandbox owns, are the host's root's alone to make.
 */
function assertOurs(directory: string): void {
  const user = process.getuid?.();
  if (user !== 0)
    throw new CgroupsError(
      `this process is user ${user}, and only root can make sandboxes: run it as root. A subtree of control groups that ` +
        "is delegated to a user is not enough, as sandboxes get users and mounts of their own",
    );
  try {
    accessSync(directory, constants.W_OK);
  } catch (cause) {
    throw new CgroupsError(`control groups cannot be made in ${directory}: mount it writable`, { cause });
  }
}

function offeredBy(directory: string): string[] {
  const file = join(directory, "cgroup.controllers");
  return existsSync(file) ? readFileSync(file, "utf8").trim().split(" ") : [];
}
