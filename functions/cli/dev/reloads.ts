/** Turns changes into reloads: one for a burst of them, one at a time, and the last state wins. */
import { setTimeout as wait } from "node:timers/promises";

/** Quiet after a change before the files are read: editors write a file in several steps. */
const QUIET_MS = 20;
/** Longest wait for quiet. */
const LONGEST_BURST_MS = 1_000;

export interface ReloadsOptions {
  /**
   * Reads, builds and deploys; never rejects. @param isOutdated whether there was a change since it
   * began. @param isForced whether what did not change is reloaded, too.
   * @returns false when it stopped because it was outdated.
   */
  reload(isOutdated: () => boolean, isForced: boolean): Promise<boolean>;
}

export class Reloads {
  readonly #options: ReloadsOptions;
  #lastChangeMs = 0;
  #isDirty = false;
  #isForced = false;
  #running: Promise<void> | null = null;

  constructor(options: ReloadsOptions) {
    this.#options = options;
  }

  /** The reloads that changes asked for so far, or null when none is under way. */
  get running(): Promise<void> | null {
    return this.#running;
  }

  /** Something changed. @param isForced has everything reloaded, changed or not. */
  changed(isForced = false): void {
    this.#lastChangeMs = performance.now();
    this.#isDirty = true;
    this.#isForced ||= isForced;
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    let burstMs = performance.now();
    while (this.#isDirty) {
      const latestMs = burstMs + LONGEST_BURST_MS;
      if (!this.#isForced) await this.#quiet(latestMs);
      const isForced = this.#isForced;
      this.#isDirty = false;
      this.#isForced = false;
      // A writer that never stops gets to see a state in between.
      const isOutdated = () => this.#isDirty && performance.now() < latestMs;
      const isDone = await this.#options.reload(isOutdated, isForced);
      if (isDone) burstMs = performance.now();
      else this.#isForced ||= isForced;
    }
    this.#running = null;
  }

  async #quiet(latestMs: number): Promise<void> {
    for (;;) {
      const untilMs = Math.min(this.#lastChangeMs + QUIET_MS, latestMs);
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0) return;
      await wait(leftMs);
    }
  }
}
