/**
 * When one more instance of a version may be started that nobody waits for. A version that cannot
 * be loaded is tried again after growing pauses, and one whose instances end soon after they were
 * loaded gets new ones slowly: else a worker would do nothing but make sandboxes.
 */
import { backoffMs } from "../../infra/std/time.ts";

const PAUSE = { firstMs: 1_000, longestMs: 300_000 };
/** How long until an instance more may be started, once all were that may be at once. */
const REFILL_MS = 10_000;

const END_SOON = "its instances end soon after they were started";

export class Attempts {
  /** Whether one is being started. */
  isUnderWay = false;
  /** Why the last one was none, or there is none now; null: no reason is known. */
  problem: string | null = null;
  readonly #now: () => number;
  #failures = 0;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  /** Starts of the moment, which are forgotten one by one. */
  #recent = 0;
  #recentAtMs: number;

  /** @param now a clock that is never set, in milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#recentAtMs = now();
  }

  /** Whether one may be started now. @param wanted how many are to be there */
  may(wanted: number): boolean {
    const nowMs = this.#now();
    if (nowMs < this.#notBeforeMs) return false;
    const forgotten = Math.floor((nowMs - this.#recentAtMs) / REFILL_MS);
    this.#recentAtMs += forgotten * REFILL_MS;
    this.#recent = Math.max(0, this.#recent - forgotten);
    // All of them may have to be exchanged at once, and again: for a new secret, or a new zygote.
    if (this.#recent < 3 * wanted + 2) return true;
    this.problem = END_SOON;
    return false;
  }

  started(): void {
    this.problem = null;
    this.#failures = 0;
    this.#recent += 1;
  }

  /** One could not be loaded. Gives how long until the next may be tried, in milliseconds. */
  failed(problem: string): number {
    this.#failures += 1;
    this.problem = problem;
    const pauseMs = backoffMs(this.#failures, PAUSE);
    this.#notBeforeMs = this.#now() + pauseMs;
    return pauseMs;
  }
}
