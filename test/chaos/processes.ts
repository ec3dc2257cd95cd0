/** Processes of a site, as /proc shows them: proc_pid_stat(5), proc_pid_status(5). */
import { readdirSync, readFileSync } from "node:fs";
import { childrenOf } from "../helpers/platform.ts";
import { isSandboxUser } from "./site.ts";

/** A process, told from a later one that has its id. */
export interface Process {
  pid: number;
  startTime: string;
}

/** A process's descendants, itself not counted. */
export function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

/** A process that is there; null for one that is gone or only waits to be collected. */
export function processOf(pid: number): Process | null {
  const stat = readIfThere(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return stat === "" || fields[0] === "Z" ? null : { pid, startTime: fields[19] ?? "" };
}

/** Zygotes of a worker's process. */
export function zygotesOf(worker: number): number[] {
  return childrenOf(worker).filter((pid) => commandOf(pid).includes("zygote"));
}

/** Processes of sandboxes of all workers of a site, or of one. */
export function sandboxProcesses(worker?: number): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0 && isSandboxUser(userOf(pid), worker));
}

export function commandOf(pid: number): string {
  return readIfThere(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
}

/** SIGKILL for a process that may be gone already. */
export function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function userOf(pid: number): number {
  return Number(/^Uid:\s+(\d+)/m.exec(readIfThere(`/proc/${pid}/status`))?.[1] ?? -1);
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
