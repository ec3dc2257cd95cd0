/**
 * Notices a child whose main thread hangs, as seen from its parent.
 *
 * The child gives a sign of life from its event loop each second. Its silence is counted in looks
 * of this process, not by a clock, so that a parent which stood still itself blames nobody. A
 * thread that sleeps or was stopped is charged a whole look. A thread that could run is charged the
 * processor time which it got: one that starves on a busy machine gets little, and one that runs in
 * circles gets what there is. A debugger's stop is charged nothing.
 */
import { readFileSync } from "node:fs";

const LOOK_MS = 1_000;
/**
 * USER_HZ of both processors that Sandpiper runs on: proc_pid_stat(5) counts processor time in
 * hundredths of a second.
 */
const TICK_MS = 10;

/** A thread, as the kernel tells of it. */
interface Look {
  /** One letter of proc_pid_stat(5). */
  state: string;
  ranMs: number;
}

export class HangWatch {
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;
  #ranMs: number;
  #silentMs = 0;

  /**
   * Begins at once. `onHang` is called once, with what the main thread does, after `limitMs`
   * without a sign of life.
   */
  constructor(pid: number, limitMs: number, onHang: (why: string) => void) {
    this.#pid = pid;
    this.#ranMs = lookAt(pid)?.ranMs ?? 0;
    this.#timer = setInterval(() => this.#look(limitMs, onHang), LOOK_MS).unref();
  }

  /** The child gave a sign of life. */
  heard(): void {
    this.#silentMs = 0;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(limitMs: number, onHang: (why: string) => void): void {
    const look = lookAt(this.#pid);
    // The process is gone, and its end is told otherwise.
    if (look === null) return;
    this.#silentMs += silenceMs(look, look.ranMs - this.#ranMs);
    this.#ranMs = look.ranMs;
    if (this.#silentMs < limitMs) return;
    this.stop();
    onHang(`no sign of life for ${Math.round(this.#silentMs / 1_000)} s, while ${doing(this.#pid, look.state)}`);
  }
}

/** How much of a look counts as silence of a thread that ran so long in it. */
function silenceMs({ state }: Look, ranMs: number): number {
  if (state === "R") return Math.min(ranMs, LOOK_MS);
  return state === "t" ? 0 : LOOK_MS;
}

/** The main thread of a process, or null when there is no such process. */
function lookAt(pid: number): Look | null {
  const stat = readIfThere(`/proc/${pid}/task/${pid}/stat`);
  if (stat === null) return null;
  // The second field is the name in parentheses, which may hold anything; the 3rd is the state, the
  // 14th and 15th are the processor time in user mode and in the kernel.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", ranMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS };
}

function doing(pid: number, state: string): string {
  if (state === "T") return "its main thread was stopped by a signal";
  if (state === "R") return "its main thread ran without end";
  const where = readIfThere(`/proc/${pid}/wchan`)?.trim();
  return `its main thread slept in the kernel${where && where !== "0" ? ` (${where})` : ""}`;
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return null;
  }
}
