/**
 * All sandboxes of the machine together, of whatever worker, against everything else that runs on
 * it. While functions burn processors, the rest goes first: calls of all tenants pass through a
 * gateway, a worker and Redis. Where the rest takes nearly all by itself, sandboxes keep the share
 * that their weight gives them.
 */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { detectCgroups } from "./detect.ts";
import { type CgroupDriver, ROOT_GROUP } from "./driver.ts";
import { weighRoot } from "./root-weight.ts";

/**
 * A rest that takes this part of the processors, in so many looks on end in which sandboxes yield
 * to it, leaves them too little.
 */
const MOST_OF_OTHERS = 0.9;
const BUSY_LOOKS = 3;
/** For so long sandboxes do not yield to it again: it may take so much only when they do. */
const PAUSE_MS = 30_000;
/**
 * For so long they yield when nobody wants it any more: functions that burn come and go, and
 * another worker may have some still.
 */
const HOLD_MS = 2_000;
/** The kernel counts ticks of 10 ms in /proc/stat, on every architecture. */
const TICK_MS = 10;

/** How many processors were in use, on the mean since the last look. */
export interface ProcessorsUsed {
  bySandboxes: number;
  byOthers: number;
}

export interface AllSandboxesOptions {
  driver?: CgroupDriver;
  /** Their weight otherwise; see `weighRoot`. */
  weight?: number | undefined;
  /** Milliseconds of all processors that something ran, from /proc/stat unless given. */
  busyMs?: () => number;
  now?: () => number;
}

export class AllSandboxes {
  /** How many there are to share. */
  readonly processors = availableParallelism();
  readonly #driver: CgroupDriver;
  #weight: number | undefined;
  readonly #busyMs: () => number;
  readonly #now: () => number;
  #before: { atMs: number; sandboxesMs: number; busyMs: number };
  #isYielding = false;
  /** Looks on end at which the rest took too much. */
  #busyLooks = 0;
  #wantedAtMs = Number.NEGATIVE_INFINITY;
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  /** @throws CgroupsError where there are no control groups */
  constructor({ driver = detectCgroups(), weight, busyMs = machineBusyMs, now = Date.now }: AllSandboxesOptions = {}) {
    this.#driver = driver;
    this.#weight = weight;
    this.#busyMs = busyMs;
    this.#now = now;
    this.#before = this.#read();
  }

  /** Processors in use since the last look. */
  look(): ProcessorsUsed {
    const [before, now] = [this.#before, this.#read()];
    this.#before = now;
    const elapsedMs = Math.max(1, now.atMs - before.atMs);
    const bySandboxes = Math.max(0, now.sandboxesMs - before.sandboxesMs) / elapsedMs;
    const byOthers = Math.max(0, (now.busyMs - before.busyMs) / elapsedMs - bySandboxes);
    const isTooMuch = this.#isYielding && byOthers > MOST_OF_OTHERS * this.processors;
    this.#busyLooks = isTooMuch ? this.#busyLooks + 1 : 0;
    if (this.#busyLooks >= BUSY_LOOKS) this.#notBeforeMs = now.atMs + PAUSE_MS;
    return { bySandboxes, byOthers };
  }

  /**
   * Has them yield to everything else, or take their share again after a while. To be said after
   * each look: other workers of the machine say it as well, of their tenants. Never throws.
   */
  setYielding(isWanted: boolean): void {
    const nowMs = this.#now();
    if (isWanted) this.#wantedAtMs = nowMs;
    if (nowMs < this.#notBeforeMs || nowMs - this.#wantedAtMs >= HOLD_MS) this.stopYielding();
    else if (isWanted) this.#yield();
  }

  /** Has them take their share again at once, if they yield by this. Never throws. */
  stopYielding(): void {
    if (!this.#isYielding) return;
    this.#isYielding = false;
    try {
      weighRoot(this.#driver, this.#weight);
    } catch {
      // The group is gone with the last sandbox.
    }
  }

  #yield(): void {
    this.#isYielding = true;
    try {
      if (!this.#driver.isCpuIdle(ROOT_GROUP)) {
        const weight = this.#driver.cpuWeight(ROOT_GROUP);
        // An older kernel has the least weight for idle groups.
        if (weight > 1) this.#weight = weight;
        this.#driver.setCpuIdle(ROOT_GROUP, true);
      }
    } catch {
      // The group is gone with the last sandbox.
    }
  }

  #read() {
    const sandboxesMs = this.#driver.usage(ROOT_GROUP).cpuMs;
    return { atMs: this.#now(), sandboxesMs, busyMs: this.#busyMs() };
  }
}

/** proc_stat(5): user, nice, system, idle, iowait, irq, softirq. */
function machineBusyMs(): number {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = readFileSync("/proc/stat", "latin1")
    .split("\n", 1)
    .flatMap((line) => line.split(/ +/).map(Number));
  return (user + nice + system + irq + softirq) * TICK_MS;
}
