/**
 * Work that anybody with a key may ask for as often as they like, and that costs everybody: it
 * takes a part of the time at most. Whoever asks too early waits.
 */
import { setTimeout as delay } from "node:timers/promises";

/** Pause after the work, as a multiple of how long that took. */
const REST_FACTOR = 4;

export class Paced {
  #restUntilMs = 0;

  /** Does the work when the rest after the last one is over; gives or throws what it does. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    for (let leftMs = this.#leftMs; leftMs > 0; leftMs = this.#leftMs) await delay(leftMs);
    const beganMs = performance.now();
    try {
      return await work();
    } finally {
      const endMs = performance.now();
      this.#restUntilMs = Math.max(this.#restUntilMs, endMs + REST_FACTOR * (endMs - beganMs));
    }
  }

  get #leftMs(): number {
    return this.#restUntilMs - performance.now();
  }
}
