/**
 * Work that anybody with a key may ask for as often as they like, and that costs everybody: one
 * does it at a time, and it takes a part of the time at most. Whoever asks too early waits, once.
 */
import { setTimeout as delay } from "node:timers/promises";
import { SandpiperError } from "../../functions/model/errors.ts";
import { KeyedTurns } from "./turns.ts";

/** Pause after the work, as a multiple of how long that took. */
const REST_FACTOR = 4;

export class Paced {
  readonly #turns = new KeyedTurns();
  /** Those whose work waits or is done. */
  readonly #asking = new Set<string>();
  #restUntilMs = 0;

  /**
   * Does the work when all that was asked for before has ended and the rest after it is over; gives
   * or throws what it does.
   * @param owner who asks: a tenant
   * @throws SandpiperError OVERLOADED while earlier work of the owner waits or is done
   */
  async run<T>(owner: string, work: () => Promise<T>): Promise<T> {
    if (this.#asking.has(owner)) {
      const message = "The tenant has asked for the same already, and that has not ended. Ask again afterwards.";
      throw new SandpiperError("OVERLOADED", { message });
    }
    this.#asking.add(owner);
    try {
      return await this.#turns.take("", () => this.#afterRest(work));
    } finally {
      this.#asking.delete(owner);
    }
  }

  async #afterRest<T>(work: () => Promise<T>): Promise<T> {
    await delay(Math.max(0, this.#restUntilMs - performance.now()));
    const beganMs = performance.now();
    try {
      return await work();
    } finally {
      const endMs = performance.now();
      this.#restUntilMs = Math.max(this.#restUntilMs, endMs + REST_FACTOR * (endMs - beganMs));
    }
  }
}
