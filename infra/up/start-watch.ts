/**
 * Waits for a program that starts for as long as it is at work: its process group gets processor
 * time, or some process of it could run or waits for a disk. On a busy machine that may take
 * minutes. Only time in which all of it sleeps counts, in looks of this process and not by a clock,
 * so that a parent which stood still itself blames nobody.
 */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

export interface StartLimits {
  /** Longest time that a program may do nothing before it is ready. */
  idleMs: number;
  /** Longest time that a program may take in all, however busy it is. */
  wholeMs: number;
}

export const START_LIMITS: StartLimits = { idleMs: 60_000, wholeMs: 900_000 };
/** A start that takes so long is told. */
const LONG_MS = 60_000;
const LOOK_MS = 1_000;
/** States in which a process wants a processor or a disk: proc_pid_stat(5). */
const AT_WORK = new Set(["R", "D"]);

/**
 * Resolves with why the start has failed when a limit is over.
 * @param group process group of the program.
 * @param onLong told once when it takes long, and goes on.
 * @param over ends the watch: it rejects.
 */
export async function startTookTooLong(
  group: number,
  { idleMs, wholeMs }: StartLimits,
  onLong: () => void,
  over: AbortSignal,
): Promise<string> {
  let [spentTicks, idle, whole] = [0, 0, 0];
  for (;;) {
    await delay(LOOK_MS, null, { signal: over });
    const { isAtWork, ticks } = lookAtGroup(group);
    if (!isAtWork && ticks <= spentTicks) idle += LOOK_MS;
    spentTicks = ticks;
    whole += LOOK_MS;
    if (idle >= idleMs) return `it was not ready, and had done nothing for ${idleMs / 1_000} s`;
    if (whole >= wholeMs) return `it was not ready after ${wholeMs / 1_000} s, although it was at work`;
    if (whole === LONG_MS) onLong();
  }
}

/** Whether some process of a group is at work, and the processor time of all in clock ticks. */
function lookAtGroup(group: number): { isAtWork: boolean; ticks: number } {
  const look = { isAtWork: false, ticks: 0 };
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const [state = "", , inGroup, ...rest] = fieldsOf(pid);
    if (Number(inGroup) !== group) continue;
    look.isAtWork ||= AT_WORK.has(state);
    // From the 6th field on: the 14th to 17th are its own processor time and that of its children.
    for (const ticks of rest.slice(8, 12)) look.ticks += Number(ticks);
  }
  return look;
}

/** Fields of proc_pid_stat(5) from the 3rd on: the 2nd, in parentheses, may hold anything. */
function fieldsOf(pid: string): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}
