/**
 * What boxes take of the kernel and of their zygote, counted: what is left of each of them adds up.
 */
import { readFileSync } from "node:fs";

export interface KernelObjects {
  zygoteMiB: number;
  slabMiB: number;
  groups: number;
  networkNamespaces: number;
  mounts: number;
}

const KIB_PER_MIB = 1_024;

/** All at once, as of now. */
export function countKernelObjects(zygotePid: number): KernelObjects {
  const read = (path: string) => readFileSync(path, "utf8");
  const field = (text: string, pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? Number.NaN);
  return {
    zygoteMiB: field(read(`/proc/${zygotePid}/status`), /^RssAnon:\s+(\d+)/m) / KIB_PER_MIB,
    slabMiB: field(read("/proc/meminfo"), /^Slab:\s+(\d+)/m) / KIB_PER_MIB,
    groups: read("/proc/cgroups")
      .split("\n")
      .slice(1)
      .reduce((sum, line) => sum + Number(line.split("\t")[2] ?? 0), 0),
    networkNamespaces: field(read("/proc/slabinfo"), /^net_namespace\s+(\d+)/m),
    mounts: read(`/proc/${zygotePid}/mountinfo`).split("\n").length - 1,
  };
}
