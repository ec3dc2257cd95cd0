/** How many calls of a gateway end in a second, and how long functions take for them. */
import type { CallTiming } from "../../functions/model/invocation.ts";

/** The weight of the latest period, and of the latest call. */
const PERIOD_WEIGHT = 0.3;
const CALL_WEIGHT = 0.05;

export class Throughput {
  #ended = 0;
  #perSecond = 0;
  #meanMs = 0;
  #sinceMs = performance.now();

  /** How many calls end in a second, as far as is known. */
  get perSecond(): number {
    return this.#perSecond;
  }

  /** Mean time from the moment that a worker has a call until its function has replied. */
  get meanMs(): number {
    return this.#meanMs;
  }

  /** A function has replied. */
  note({ sandboxMs, initMs, handlerMs }: CallTiming): void {
    this.#ended += 1;
    this.#meanMs += CALL_WEIGHT * (sandboxMs + initMs + handlerMs - this.#meanMs);
  }

  /**
   * Ends a period of some hundred milliseconds. One in which nothing ended says nothing of how fast
   * calls end when they do.
   */
  endPeriod(nowMs: number = performance.now()): void {
    const perSecond = (this.#ended * 1_000) / Math.max(1, nowMs - this.#sinceMs);
    if (this.#ended > 0) {
      const weight = this.#perSecond === 0 ? 1 : PERIOD_WEIGHT;
      this.#perSecond += weight * (perSecond - this.#perSecond);
    }
    this.#ended = 0;
    this.#sinceMs = nowMs;
  }
}
