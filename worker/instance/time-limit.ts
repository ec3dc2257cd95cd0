/** The limit of time for what a sandbox does now, kept outside of the sandbox. */
import type { During } from "../outcome/outcome.ts";

/** Longest time for evaluating a bundle, and for a function's renewal in a fork. */
const BEFORE_CALLS_MS: Record<Exclude<During, "call">, number> = { load: 10_000, restore: 10_000 };

export class TimeLimit {
  readonly #callMs: number;
  readonly #onOver: (during: During, limitMs: number) => void;
  #timer: NodeJS.Timeout | null = null;

  /** @param callMs the limit of a call, the same for all of a version */
  constructor(callMs: number, onOver: (during: During, limitMs: number) => void) {
    this.#callMs = callMs;
    this.#onOver = onOver;
  }

  /** Begins the time anew; a limit that runs must be for the same `during`. */
  start(during: During): void {
    if (this.#timer !== null) {
      this.#timer.refresh();
      return;
    }
    const limitMs = during === "call" ? this.#callMs : BEFORE_CALLS_MS[during];
    this.#timer = setTimeout(() => this.#onOver(during, limitMs), limitMs);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
