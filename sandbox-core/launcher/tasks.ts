/** The doings of processes at this moment, as proc_pid_stat(5) tells them. */
import { readdirSync, readFileSync } from "node:fs";

/** USER_HZ is 100 on both processors that Sandpiper runs on. */
const TICK_MS = 10;
/** States of a thread that runs or waits for a processor, and that waits for a disk or memory. */
const AT_WORK = ["R", "D"];

/** Most threads that one look at a sandbox reads. */
const MOST_THREADS = 8;

/** Whether a thread of these processes runs, or would if the machine let it. Never throws. */
export function isAnyAtWork(pids: readonly number[]): boolean {
  return pids.some((pid) => threadsOf(pid).some((thread) => isAtWork(`${pid}/task/${thread}`)));
}

/**
 * Looks at a sandbox, again and again, whose threads may be many: reading the state of one costs
 * whoever looks more than it costs the sandbox to make it. Each look reads some of them in turn,
 * and first of all the one that the last look found at work.
 */
export class ThreadLooks {
  #next = 0;
  #found: number | undefined;

  /** Whether one of the threads that this look reads is at work. Never throws. */
  isAnyAtWork(threads: readonly number[]): boolean {
    const from = threads.length > 0 ? this.#next % threads.length : 0;
    const inTurn = [...threads.slice(from), ...threads.slice(0, from)].slice(0, MOST_THREADS);
    const before = threads.filter((thread) => thread === this.#found);
    this.#found = [...before, ...inTurn].find((thread) => isAtWork(String(thread)));
    this.#next = from + MOST_THREADS;
    return this.#found !== undefined;
  }
}

function isAtWork(task: string): boolean {
  return AT_WORK.includes(fieldsOf(task)[0] ?? "");
}

/** Processor time that a process has used, that of its children not counted; 0 when it is gone. */
export function cpuMsOf(pid: number): number {
  const [user = 0, system = 0] = fieldsOf(String(pid)).slice(11, 13).map(Number);
  return (user + system) * TICK_MS;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** The fields from the state on: the name before them may hold anything. */
function fieldsOf(task: string): string[] {
  try {
    const stat = readFileSync(`/proc/${task}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}
