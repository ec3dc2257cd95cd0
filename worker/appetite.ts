/**
 * Whether the instances of a version have all the processor time that they want. Where they have not, one instance more
 * takes time from the others and adds none: on a full machine each would make all calls slower, and slower calls would
 * ask for still more.
 */
import { readFileSync } from "node:fs";

/** The shortest time that says something, and the longest that is about now. */
const SHORTEST_LOOK_MS = 50;
const LONGEST_LOOK_MS = 1_000;
/** Who runs or wants to run for this part of the time waits for little else. */
const HUNGRY_SHARE = 0.5;
/** What the latest look weighs: the kernel counts by its own beat. */
const LATEST_WEIGHT = 0.7;

/** Processor time, taken and waited for, in milliseconds, by process. */
type Wishes = Map<number, number>;

export class Appetite {
  #atMs = Number.NEGATIVE_INFINITY;
  #wishes: Wishes = new Map();
  /** The part of their time in which they run or want to; all of it until something is known. */
  #share = 1;

  /**
   * Whether these processes want more than there is, by what they did since the last look. Where nothing is known yet, or
   * not of the present, they do: soon there will be another look.
   */
  isHungry(pids: readonly number[]): boolean {
    const nowMs = performance.now();
    const elapsedMs = nowMs - this.#atMs;
    if (elapsedMs < SHORTEST_LOOK_MS) return this.#share > HUNGRY_SHARE;
    const before = this.#wishes;
    this.#wishes = new Map(pids.map((pid) => [pid, wishMs(pid)]));
    this.#atMs = nowMs;
    const isRecent = elapsedMs <= LONGEST_LOOK_MS && pids.some((pid) => before.has(pid));
    const latest = isRecent ? meanGrowth(before, this.#wishes) / elapsedMs : 1;
    this.#share += LATEST_WEIGHT * (latest - this.#share);
    return this.#share > HUNGRY_SHARE;
  }
}

function meanGrowth(before: Wishes, now: Wishes): number {
  const grown = [...now].flatMap(([pid, ms]) => (before.has(pid) ? [ms - (before.get(pid) as number)] : []));
  return grown.reduce((sum, ms) => sum + ms, 0) / grown.length;
}

/**
 * How long a process's first thread has run and waited to run: Documentation/scheduler/sched-stats.rst in the kernel,
 * "/proc/<pid>/schedstat". 0 for one that is gone, and on a kernel that does not count.
 */
function wishMs(pid: number): number {
  try {
    const [ran = 0, waited = 0] = readFileSync(`/proc/${pid}/schedstat`, "latin1").split(" ").map(Number);
    return (ran + waited) / 1e6;
  } catch {
    return 0;
  }
}
