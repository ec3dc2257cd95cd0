/** Tells a process from a later one that got the same number. */
import { readFileSync } from "node:fs";

/**
 * A process as it can be found again: its number, and when it started, in clock ticks since the
 * machine did.
 */
export interface ProcessId {
  pid: number;
  startTicks: number;
}

/** The process with this number as it is now, or null when there is none (or only its zombie). */
export function identify(pid: number): ProcessId | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return null;
  }
  // proc_pid_stat(5): the second field is the name in parentheses, which may hold anything; the 3rd
  // is the state, the 22nd the start time.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const startTicks = Number(fields[19]);
  return fields[0] === "Z" || !Number.isSafeInteger(startTicks) ? null : { pid, startTicks };
}

/** Whether that very process still runs. */
export function isAlive(id: ProcessId): boolean {
  return identify(id.pid)?.startTicks === id.startTicks;
}

/** A value read from a file as a ProcessId, or null when it is none. */
export function parseProcessId(value: unknown): ProcessId | null {
  if (value === null || typeof value !== "object") return null;
  const { pid, startTicks } = value as Partial<ProcessId>;
  if (!Number.isSafeInteger(pid) || !Number.isSafeInteger(startTicks) || Number(pid) < 2) return null;
  return { pid: Number(pid), startTicks: Number(startTicks) };
}
