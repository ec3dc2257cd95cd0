/** Control groups, version 1: a hierarchy for each controller. Documentation/admin-guide/cgroup-v1 in the kernel. */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { CgroupDriver, GroupLimits } from "./driver.ts";
import {
  CPU_PERIOD_US,
  cpuQuotaUs,
  directoriesIn,
  fileMeter,
  keyedNumber,
  pidsOf,
  readIfThere,
  removeDirectory,
  writeAll,
} from "./files.ts";

/** Where each controller that we use is mounted; two may share a mount ("cpu,cpuacct"). */
export type ControllerMounts = Record<"memory" | "cpu" | "cpuacct" | "pids", string>;

export function cgroupV1(mounts: ControllerMounts): CgroupDriver {
  const hierarchies = [...new Set(Object.values(mounts))];
  const everywhere = (path: string) => hierarchies.map((mount) => join(mount, path));
  const at = (controller: keyof ControllerMounts, path: string, file: string) => join(mounts[controller], path, file);
  const cpuMs = (text: string) => Number(text) / 1e6;

  return {
    version: 1,
    createParent(path) {
      for (const directory of everywhere(path)) mkdirSync(directory, { recursive: true });
    },
    create(path, limits) {
      for (const directory of everywhere(path)) mkdirSync(directory);
      writeAll(join(mounts.memory, path), memoryLimits(join(mounts.memory, path), limits));
      writeAll(join(mounts.cpu, path), {
        "cpu.cfs_period_us": String(CPU_PERIOD_US),
        "cpu.cfs_quota_us": String(cpuQuotaUs(limits.cpus)),
      });
      writeAll(join(mounts.pids, path), { "pids.max": String(limits.pids) });
    },
    // `tasks`, not `cgroup.procs`: for a single thread that moves itself the kernel skips the lock over all thread
    // groups, whose first taker after an idle moment waits 10 to 20 ms for an RCU grace period.
    joinFiles: (path) => everywhere(path).map((directory) => join(directory, "tasks")),
    usage: (path) => ({
      cpuMs: cpuMs(readIfThere(at("cpuacct", path, "cpuacct.usage")) ?? "0"),
      peakMemoryBytes: Number(readIfThere(at("memory", path, "memory.max_usage_in_bytes")) ?? 0),
      oomKills: keyedNumber(readIfThere(at("memory", path, "memory.oom_control")) ?? "", "oom_kill"),
    }),
    openMeter: (path) =>
      fileMeter(at("cpuacct", path, "cpuacct.usage"), at("memory", path, "memory.max_usage_in_bytes"), cpuMs),
    members: (path) => pidsOf(join(mounts.memory, path)),
    children: (path) => [...new Set(everywhere(path).flatMap(directoriesIn))],
    remove(path) {
      for (const directory of everywhere(path)) removeDirectory(directory);
    },
  };
}

/** Without swap: memory and swap together may not pass what memory alone may. */
function memoryLimits(directory: string, { memoryBytes }: GroupLimits): Record<string, string> {
  const limit = String(memoryBytes);
  // A kernel without swap accounting has no memsw file: then the group is told never to swap.
  return existsSync(join(directory, "memory.memsw.limit_in_bytes"))
    ? { "memory.limit_in_bytes": limit, "memory.memsw.limit_in_bytes": limit }
    : { "memory.limit_in_bytes": limit, "memory.swappiness": "0" };
}
