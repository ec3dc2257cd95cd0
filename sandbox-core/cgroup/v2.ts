/** Control groups, version 2: one hierarchy. Documentation/admin-guide/cgroup-v2.rst in the kernel. */
import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import type { CgroupDriver } from "./driver.ts";
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

const CONTROLLERS = "+memory +cpu +pids";

export function cgroupV2(mount: string): CgroupDriver {
  const cpuMs = (text: string) => keyedNumber(text, "usage_usec") / 1000;
  // memory.peak came with Linux 5.19; before it the present figure is the best there is.
  const peakFile = (directory: string) =>
    ["memory.peak", "memory.current"].map((file) => join(directory, file)).find((file) => existsSync(file)) ?? null;

  return {
    version: 2,
    createParent(path) {
      const directory = join(mount, path);
      if (path !== "." && dirname(path) !== path) this.createParent(dirname(path));
      mkdirSync(directory, { recursive: true });
      // A group may limit its children only by controllers that its own parent hands down.
      writeAll(directory, { "cgroup.subtree_control": CONTROLLERS });
    },
    create(path, limits) {
      const directory = join(mount, path);
      mkdirSync(directory);
      writeAll(directory, {
        "memory.max": String(limits.memoryBytes),
        "memory.oom.group": "1",
        "cpu.max": `${cpuQuotaUs(limits.cpus)} ${CPU_PERIOD_US}`,
        "pids.max": String(limits.pids),
        ...(existsSync(join(directory, "memory.swap.max")) ? { "memory.swap.max": "0" } : {}),
      });
    },
    joinFiles: (path) => [join(mount, path, "cgroup.procs")],
    usage: (path) => ({
      cpuMs: cpuMs(readIfThere(join(mount, path, "cpu.stat")) ?? ""),
      peakMemoryBytes: Number(readIfThere(peakFile(join(mount, path)) ?? "") ?? 0),
      oomKills: keyedNumber(readIfThere(join(mount, path, "memory.events")) ?? "", "oom_kill"),
    }),
    openMeter: (path) => fileMeter(join(mount, path, "cpu.stat"), peakFile(join(mount, path)), cpuMs),
    members: (path) => pidsOf(join(mount, path)),
    children: (path) => directoriesIn(join(mount, path)),
    remove: (path) => removeDirectory(join(mount, path)),
  };
}
