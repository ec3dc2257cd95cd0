/**
 * How far a sender may be ahead of its reader: what the reader has not taken yet stays below a
 * limit, or nearly.
 */
import { setImmediate as turn } from "node:timers/promises";
import { MIB } from "../../infra/std/bytes.ts";

/** A sender with more than this on its way waits. */
const WINDOW_BYTES = 4 * MIB;
const POLL_MS = 5;
/**
 * A reader that takes nothing for so long is gone, or will not say any more: nobody waits for that.
 */
const SILENCE_MS = 2_000;

export class Window {
  readonly #askTaken: () => Promise<number>;
  #ahead = 0;
  #taken = 0;
  readonly #waiting: (() => void)[] = [];
  #isAdmitting = false;
  #wake = (): void => {};

  /**
   * @param askTaken gives how many bytes the reader has taken since its beginning; never rejects.
   */
  constructor(askTaken: () => Promise<number>) {
    this.#askTaken = askTaken;
  }

  sent(bytes: number): void {
    this.#ahead += bytes;
  }

  /**
   * null when more may be sent now; else what resolves when it may, for one who waits after the
   * other.
   */
  untilTaken(): Promise<void> | null {
    if (this.#hasRoom && this.#waiting.length === 0) return null;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (!this.#isAdmitting) void this.#admitAll();
    });
  }

  /** The reader may have taken something: asks now. */
  look(): void {
    this.#wake();
  }

  /** Nothing is on its way any more. */
  reset(): void {
    this.#ahead = 0;
    this.#wake();
  }

  get #hasRoom(): boolean {
    return this.#ahead < WINDOW_BYTES;
  }

  async #admitAll(): Promise<void> {
    this.#isAdmitting = true;
    for (let heardAtMs = performance.now(); this.#waiting.length > 0; ) {
      const taken = (await this.#askTaken()) - this.#taken;
      if (taken > 0) {
        this.#taken += taken;
        this.#ahead = Math.max(0, this.#ahead - taken);
      } else if (performance.now() - heardAtMs > SILENCE_MS) this.#ahead = 0;
      if (taken > 0 || this.#ahead === 0) heardAtMs = performance.now();
      if (this.#hasRoom) await this.#admit();
      else await this.#pause();
    }
    this.#isAdmitting = false;
  }

  async #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, POLL_MS);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
  }

  /** Each sends in its turn, so that the next one knows of it. */
  async #admit(): Promise<void> {
    while (this.#hasRoom && this.#waiting.length > 0) {
      // The first stands in line until it has sent, lest somebody goes before it.
      this.#waiting[0]?.();
      await turn();
      this.#waiting.shift();
    }
  }
}
