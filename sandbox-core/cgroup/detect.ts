/** Which control groups this machine has: asked once, from the mount table. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { CgroupDriver } from "./driver.ts";
import { type ControllerMounts, cgroupV1 } from "./v1.ts";
import { cgroupV2 } from "./v2.ts";

const NEEDED = ["memory", "cpu", "cpuacct", "pids"] as const;

interface Mount {
  directory: string;
  type: string;
  options: string[];
}

/**
 * The driver for this machine: version 2 where its root offers the controllers, else version 1.
 * @throws Error that names the controllers that are missing from both.
 */
export function detectCgroups(mountTable = readFileSync("/proc/self/mounts", "utf8")): CgroupDriver {
  const mounts = parseMounts(mountTable);
  const unified = mounts.find(({ type, directory }) => type === "cgroup2" && offersControllers(directory));
  if (unified) return cgroupV2(unified.directory);

  const found = Object.fromEntries(
    NEEDED.flatMap((controller) => {
      const mount = mounts.find(({ type, options }) => type === "cgroup" && options.includes(controller));
      return mount ? [[controller, mount.directory]] : [];
    }),
  ) as Partial<ControllerMounts>;
  const missing = NEEDED.filter((controller) => !found[controller]);
  if (missing.length > 0)
    throw new Error(
      `no control group controller ${missing.join(", ")}: mount cgroup2 on /sys/fs/cgroup, or boot with these enabled`,
    );
  return cgroupV1(found as ControllerMounts);
}

function parseMounts(table: string): Mount[] {
  return table.split("\n").flatMap((line) => {
    const [, directory, type, options] = line.split(" ");
    return directory && type && options ? [{ directory, type, options: options.split(",") }] : [];
  });
}

function offersControllers(directory: string): boolean {
  const file = join(directory, "cgroup.controllers");
  const offered = existsSync(file) ? readFileSync(file, "utf8").trim().split(" ") : [];
  return ["memory", "cpu", "pids"].every((controller) => offered.includes(controller));
}
