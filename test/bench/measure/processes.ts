/** What the kernel tells of processes: proc_pid_stat(5), proc_pid_status(5). */
import { readFileSync } from "node:fs";
import { childrenOf } from "../../helpers/platform.ts";

/** Length of a tick of processor time: USER_HZ is 100 wherever Linux runs Node. */
const TICK_MS = 10;

/**
 * Processor time that a process has used, and those of its children that it has waited for; 0 when
 * it is gone.
 */
export function cpuMs(pid: number): number {
  const stat = readIfThere(`/proc/${pid}/stat`);
  // Fields after the name, which may hold spaces: utime, stime, cutime and cstime are the 14th to
  // the 17th of all.
  const ticks = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 15);
  return ticks.reduce((sum, text) => sum + Number(text), 0) * TICK_MS;
}

/** A process's descendants, itself not counted. */
export function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

/**
 * Whether a process is the first of a pid namespace below ours: the one that every sandbox has
 * once.
 */
export function isFirstInNamespace(pid: number): boolean {
  return /^NSpid:\t\d+\t1$/m.test(readIfThere(`/proc/${pid}/status`));
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
