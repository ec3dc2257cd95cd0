/**
 * Whether the instances of a version have all the processor time that they want. Where they have
 * not, one instance more takes time from the others and adds none: on a full machine each would
 * make all calls slower, and slower calls would ask for still more.
 */
import { readFileSync } from "node:fs";

/** The shortest time that says something, and the longest that is about now. */
const SHORTEST_LOOK_MS = 50;
const LONGEST_LOOK_MS = 1_000;
/** A process that runs or wants to run for this part of the time waits for little else. */
const WANTS_MORE_SHARE = 0.5;
/** A worker that runs or wants to run for this part of the time has no time left. */
const WORKER_FULL_SHARE = 0.8;
/** The weight of the latest look: the kernel counts by its own beat. */
const LATEST_WEIGHT = 0.7;

/** A sandbox as its kernel counts it. */
export interface CountedSandbox {
  /** The first process of the sandbox. */
  readonly pid: number;
  /** Processor time that the whole sandbox has had, in milliseconds. */
  usage(): { cpuMs: number };
}

/** Processor time in milliseconds, by the pid of a sandbox's first process. */
type Wishes = Map<number, { wantedMs: number; hadMs: number }>;

export class CpuPressure {
  #atMs = Number.NEGATIVE_INFINITY;
  #wishes: Wishes = new Map();
  /** The part of their time in which they run or want to; all of it until something is known. */
  #share = 1;

  /**
   * Whether these sandboxes want more than there is, by what they did since the last look. Where
   * nothing is known yet, or not of the present, they do: soon there will be another look.
   */
  wantsMoreCpu(sandboxes: readonly CountedSandbox[]): boolean {
    const nowMs = performance.now();
    const elapsedMs = nowMs - this.#atMs;
    if (elapsedMs < SHORTEST_LOOK_MS) return this.#share > WANTS_MORE_SHARE;
    const before = this.#wishes;
    // A template idles while its forks work, so count the forks' CPU time as well.
    this.#wishes = new Map(
      sandboxes.map((one) => [one.pid, { wantedMs: wantedMs(one.pid), hadMs: one.usage().cpuMs }]),
    );
    this.#atMs = nowMs;
    const isRecent = elapsedMs <= LONGEST_LOOK_MS && sandboxes.some(({ pid }) => before.has(pid));
    const latest = isRecent ? meanGrowth(before, this.#wishes) / elapsedMs : 1;
    this.#share += LATEST_WEIGHT * (latest - this.#share);
    return this.#share > WANTS_MORE_SHARE;
  }
}

/** Whether this process has all the processor time that it wants. */
export class OwnPressure {
  #atMs = performance.now();
  #wantedMs = wantedMs(process.pid);
  #share = 0;

  get isFull(): boolean {
    const elapsedMs = performance.now() - this.#atMs;
    if (elapsedMs < SHORTEST_LOOK_MS) return this.#share > WORKER_FULL_SHARE;
    const nowMs = wantedMs(process.pid);
    const latest = (nowMs - this.#wantedMs) / elapsedMs;
    this.#share = elapsedMs > LONGEST_LOOK_MS ? latest : this.#share + LATEST_WEIGHT * (latest - this.#share);
    this.#wantedMs = nowMs;
    this.#atMs += elapsedMs;
    return this.#share > WORKER_FULL_SHARE;
  }
}

function meanGrowth(before: Wishes, now: Wishes): number {
  const grown = [...now].flatMap(([pid, { wantedMs, hadMs }]) => {
    const then = before.get(pid);
    return then === undefined ? [] : [Math.max(wantedMs - then.wantedMs, hadMs - then.hadMs)];
  });
  return grown.reduce((sum, ms) => sum + ms, 0) / grown.length;
}

/**
 * How long a process's first thread has run and waited to run:
 * Documentation/scheduler/sched-stats.rst in the kernel, "/proc/<pid>/schedstat". 0 for one that is
 * gone, and on a kernel that does not count.
 */
export function wantedMs(pid: number): number {
  try {
    const [ran = 0, waited = 0] = readFileSync(`/proc/${pid}/schedstat`, "latin1").split(" ").map(Number);
    return (ran + waited) / 1e6;
  } catch {
    return 0;
  }
}
