/** What processes and the kernel hold in memory: proc_pid_smaps(5), proc_meminfo(5). */
import { readFileSync } from "node:fs";

const KIB_PER_MIB = 1_024;

export interface ProcessMemory {
  /** Pages that nobody else maps. */
  uniqueMiB: number;
  /** Each page divided by how many map it. */
  proportionalMiB: number;
}

/** Of some processes together. @throws Error when one is gone */
export function memoryOf(pids: readonly number[]): ProcessMemory {
  const each = pids.map((pid) => {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    return {
      uniqueMiB: kibOf(text, "Private_Clean") + kibOf(text, "Private_Dirty"),
      proportionalMiB: kibOf(text, "Pss"),
    };
  });
  const sum = (key: keyof ProcessMemory) => each.reduce((total, one) => total + one[key], 0) / KIB_PER_MIB;
  return { uniqueMiB: sum("uniqueMiB"), proportionalMiB: sum("proportionalMiB") };
}

export interface KernelMemory {
  slabMiB: number;
  /** The slab, and the page tables, stacks and per-processor memory beside it. */
  allMiB: number;
}

/**
 * Of the whole machine: a difference says what was made in between, as far as nobody else made
 * anything.
 */
export function kernelMemory(): KernelMemory {
  const text = readFileSync("/proc/meminfo", "utf8");
  const others = ["PageTables", "KernelStack", "Percpu"].reduce((sum, name) => sum + kibOf(text, name), 0);
  const slab = kibOf(text, "Slab");
  return { slabMiB: slab / KIB_PER_MIB, allMiB: (slab + others) / KIB_PER_MIB };
}

function kibOf(text: string, name: string): number {
  const value = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1];
  if (value === undefined) throw new Error(`the kernel says nothing of ${name}`);
  return Number(value);
}
