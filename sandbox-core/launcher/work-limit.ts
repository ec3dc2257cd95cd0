/**
 * Limits on work that another process does, which blame it for nothing that a busy machine does.
 *
 * Three amounts are kept apart. Processor time is the work's own. So is time in which nothing of it
 * wants a processor, a disk or memory: then it waits for something else. The rest is the machine's
 * queue, which only the time in all bounds. Time is counted in looks of this process and not by a
 * clock, so that a process which stood still itself blames nobody.
 */

/** The most that a piece of work may take. */
export interface WorkLimits {
  /** Processor time. */
  cpuMs: number;
  /** Time in which the work neither ran nor wanted to. */
  waitMs: number;
  /** Time in all, well above the others: reached before them, it was the machine that was slow. */
  wallMs: number;
}

/** The limit that was reached: by the work's own doing, unless it is `wall`. */
export interface Overrun {
  limit: "cpu" | "wait" | "wall";
  limitMs: number;
}

/** The work as it is seen in one moment. */
export interface Work {
  /** Processor time so far; it may have begun before the work did. */
  cpuMs: number;
  /** Whether it runs, or wants to. */
  isAtWork: boolean;
}

/** Time between two looks, and how many looks there are at least before a limit. */
const LOOK_MS = 500;
const LEAST_LOOKS = 20;

export class WorkWatch {
  readonly #limits: WorkLimits;
  readonly #look: () => Work;
  readonly #onOver: (overrun: Overrun) => void;
  readonly #lookMs: number;
  readonly #timer: NodeJS.Timeout;
  /** At the first look. Work that is over before has cost nothing but a timer. */
  #cpuMsBefore: number | undefined;
  #cpuMs = 0;
  #waitedMs = 0;
  #elapsedMs = 0;

  /** Begins at once. `look` must not throw; `onOver` is called once, with the limit reached. */
  constructor(limits: WorkLimits, look: () => Work, onOver: (overrun: Overrun) => void) {
    this.#limits = limits;
    this.#look = look;
    this.#onOver = onOver;
    const least = Math.min(limits.cpuMs, limits.waitMs, limits.wallMs);
    this.#lookMs = Math.max(1, Math.min(LOOK_MS, Math.floor(least / LEAST_LOOKS)));
    this.#timer = setInterval(() => this.#measure(), this.#lookMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #measure(): void {
    const { cpuMs, isAtWork } = this.#look();
    this.#cpuMsBefore ??= cpuMs;
    const ranMs = cpuMs - this.#cpuMsBefore - this.#cpuMs;
    this.#cpuMs += ranMs;
    this.#elapsedMs += this.#lookMs;
    if (!isAtWork) this.#waitedMs += Math.max(0, this.#lookMs - ranMs);
    const limit = this.#reached();
    if (limit === null) return;
    this.stop();
    this.#onOver({ limit, limitMs: this.#limits[`${limit}Ms`] });
  }

  #reached(): Overrun["limit"] | null {
    const { cpuMs, waitMs, wallMs } = this.#limits;
    if (this.#cpuMs >= cpuMs) return "cpu";
    if (this.#waitedMs >= waitMs) return "wait";
    return this.#elapsedMs >= wallMs ? "wall" : null;
  }
}

/** The overrun as the end of a sentence that begins with what did not get done. */
export function describeOverrun({ limit, limitMs }: Overrun): string {
  if (limit === "cpu") return `after ${limitMs} ms of processor time`;
  if (limit === "wait") return `after ${limitMs} ms in which it waited and did nothing`;
  return `within ${limitMs} ms, as this machine is too busy to run it`;
}
