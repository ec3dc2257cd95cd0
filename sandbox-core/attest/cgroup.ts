/** The limits of a process as the kernel has them, read past the code that set them. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readIfThere } from "../cgroup/files.ts";
import { type CgroupMount, cgroupMounts, groupBelow } from "../cgroup/mounts.ts";

/** A limit that the kernel keeps; `null` is one that it does not. */
export interface CgroupPosture {
  version: 1 | 2 | null;
  /** The process's group for each controller, as this process's cgroup namespace names it. */
  groups: Record<string, string>;
  memoryBytes: number | null;
  swapBytes: number | null;
  /** Processors' worth of time. */
  cpus: number | null;
  tasks: number | null;
}

const CONTROLLERS = ["memory", "cpu", "pids"] as const;
type Controller = (typeof CONTROLLERS)[number];
type Read = (file: string) => string | null;

/** Version 1 has no word for "no limit": it shows the largest number of pages that there can be. */
const NO_LIMIT_BYTES = 2 ** 62;

/**
 * The groups of a process and their limits (cgroups(7)).
 * @throws Error when there is no such process
 */
export function readCgroupPosture(pid: number): CgroupPosture {
  const groups = groupsOf(pid);
  const mounts = cgroupMounts();
  // As the driver chooses them: the first that there is.
  const mountOf = (controller: Controller) => mounts.find(({ controllers }) => controllers.includes(controller));
  const files = (controller: Controller) => filesOf(mountOf(controller), groups[controller]);
  if (CONTROLLERS.every(mountOf))
    return { version: 1, groups, ...limitsOfV1(files("memory"), files("cpu"), files("pids")) };
  const unified = mounts.find(({ version }) => version === 2);
  return { version: unified ? 2 : null, groups, ...limitsOfV2(filesOf(unified, groups.unified)) };
}

/** Reads files of a group through a mount of its hierarchy; all are null where it does not show. */
function filesOf(mount: CgroupMount | undefined, group: string | undefined): Read {
  const below = mount && group !== undefined ? groupBelow(mount.root, group) : null;
  return (file) => (mount && below !== null ? readIfThere(join(mount.directory, below, file)) : null);
}

function limitsOfV1(memory: Read, cpu: Read, pids: Read) {
  const memoryBytes = numberOf(memory("memory.limit_in_bytes"));
  const withSwapBytes = numberOf(memory("memory.memsw.limit_in_bytes"));
  return {
    memoryBytes,
    swapBytes: withoutSwap(memoryBytes !== null && withSwapBytes !== null ? withSwapBytes - memoryBytes : null),
    cpus: shareOf(cpu("cpu.cfs_quota_us"), cpu("cpu.cfs_period_us")),
    tasks: numberOf(pids("pids.max")),
  };
}

function limitsOfV2(read: Read) {
  const [quota = null, period = null] = read("cpu.max")?.trim().split(" ") ?? [];
  return {
    memoryBytes: numberOf(read("memory.max")),
    swapBytes: withoutSwap(numberOf(read("memory.swap.max"))),
    cpus: shareOf(quota, period),
    tasks: numberOf(read("pids.max")),
  };
}

/** A kernel that is built without swap has no file for its limit. */
function withoutSwap(limitBytes: number | null): number | null {
  return limitBytes ?? (existsSync("/proc/swaps") ? null : 0);
}

function numberOf(text: string | null): number | null {
  const number = Number(text?.trim() || Number.NaN);
  return number >= 0 && number < NO_LIMIT_BYTES ? number : null;
}

/** A quota of -1 or "max" is none. */
function shareOf(quota: string | null, period: string | null): number | null {
  const [quotaUs, periodUs] = [numberOf(quota), numberOf(period)];
  return quotaUs !== null && periodUs !== null ? quotaUs / periodUs : null;
}

/** "4:memory:/sandpiper/a/b" by controller; version 2's one line as "unified". */
function groupsOf(pid: number): Record<string, string> {
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").split("\n").filter(Boolean);
  return Object.fromEntries(
    lines.flatMap((line) => {
      const [number, controllers = "", ...path] = line.split(":");
      const names = number === "0" ? ["unified"] : controllers.split(",");
      return names.map((name) => [name, path.join(":")]);
    }),
  );
}
