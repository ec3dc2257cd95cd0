/** Names that say which process a thing of ours belongs to, so that what a killed one left can be told and removed. */
import { readFileSync } from "node:fs";

/** A process's pid and start time, which together name one process for ever. */
export function ownerName(pid: number): string {
  return `${pid}-${startTime(pid)}`;
}

/** Whether the process that such a name begins with still runs; true for a name of another kind, which is not ours. */
export function isOwnerAlive(name: string): boolean {
  const [, pid, start] = /^(\d+)-(\d+)(?:-|$)/.exec(name) ?? [];
  return pid === undefined || startTime(Number(pid)) === start;
}

/** Field 22 of /proc/PID/stat (proc_pid_stat(5)), or "" when there is no such process. */
function startTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}
