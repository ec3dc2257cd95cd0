/**
 * Names that say which process a thing of ours belongs to, so that what a killed one left can be
 * told and removed.
 */
import { readFileSync } from "node:fs";

const DEAD: ReadonlySet<string | undefined> = new Set(["Z", "X"]);

/** A process's pid and start time, which together name one process for ever. */
export function ownerName(pid: number): string {
  return `${pid}-${startTime(pid)}`;
}

/**
 * Whether the process that such a name begins with still runs; true for a name of another kind,
 * which is not ours.
 */
export function isOwnerAlive(name: string): boolean {
  const [, pid, start] = /^(\d+)-(\d+)(?:-|$)/.exec(name) ?? [];
  return pid === undefined || startTime(Number(pid)) === start;
}

/**
 * Field 22 of /proc/PID/stat (proc_pid_stat(5)), or "" when there is no such process. One that is
 * dead and was not waited for is none: there are hosts whose first process never waits.
 */
function startTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return DEAD.has(fields[0]) ? "" : (fields[19] ?? "");
  } catch {
    return "";
  }
}
