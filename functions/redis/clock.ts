/** The time by Redis's clock, which all gateways and workers have in common. */

/** A machine whose clock differs by less counts as having the same: calls wait for seconds. */
const TOLERATED_MS = 100;
/** How many of the last measurements count. The one with the shortest way is the best. */
const KEPT = 8;

/** One measurement: what to add to `performance.now()`, give or take the error. */
interface Sample {
  baseMs: number;
  errorMs: number;
}

/**
 * Measures how far Redis's clock is from this process's. Monotonic time carries it on between two
 * measurements, so that a step of this machine's clock changes nothing.
 */
export class RedisClock {
  #samples: Sample[] = [];
  #best: Sample | undefined;

  /** Whether there was a measurement. Until then this machine's clock counts. */
  get isSet(): boolean {
    return this.#best !== undefined;
  }

  /**
   * Adds a measurement.
   * @param sentMs when Redis was asked, and `heardMs` when it had answered, by `performance.now()`
   * @param redisMs the answer: a Unix time in milliseconds
   */
  measured(sentMs: number, heardMs: number, redisMs: number): void {
    const sample = { baseMs: redisMs - (sentMs + heardMs) / 2, errorMs: (heardMs - sentMs) / 2 + 1 };
    // Redis's clock has been set, or another Redis answers: nothing from before is true.
    if (this.#samples.some((other) => contradict(sample, other))) this.#samples = [];
    this.#samples = [...this.#samples, sample].slice(-KEPT);
    this.#best = this.#samples.reduce((best, other) => (other.errorMs <= best.errorMs ? other : best));
  }

  /**
   * How many milliseconds this machine's clock is ahead of Redis's; negative when it is behind, 0
   * when it is right as far as can be told.
   */
  get aheadMs(): number {
    if (this.#best === undefined) return 0;
    const aheadMs = Date.now() - performance.now() - this.#best.baseMs;
    return Math.abs(aheadMs) <= TOLERATED_MS + this.#best.errorMs ? 0 : Math.round(aheadMs);
  }

  /** Redis's Unix time now, in milliseconds. */
  nowMs(): number {
    return Date.now() - this.aheadMs;
  }
}

function contradict(one: Sample, other: Sample): boolean {
  return Math.abs(one.baseMs - other.baseMs) > one.errorMs + other.errorMs + TOLERATED_MS;
}
