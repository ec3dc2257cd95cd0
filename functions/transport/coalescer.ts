/** Gathers what arrives one by one into batches. */
import { Pace } from "./pace.ts";

interface Waiting<T> {
  item: T;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/**
 * Additions of one moment (see `Pace`), or while a batch is being sent, go together in the next
 * batches. At most one round of batches is on its way at a time, so that batches grow by themselves
 * when the receiver is slow.
 */
export class Coalescer<T> {
  readonly #send: (items: T[]) => Promise<void>;
  readonly #maxBatch: number;
  #waiting: Waiting<T>[] = [];
  readonly #pace: Pace;
  #sending = false;
  #idle: (() => void)[] = [];

  /**
   * @param send delivers one batch; what it rejects with is told to every item's adder.
   * @param inCourse how many items have not come to their end yet, wherever they are.
   */
  constructor(maxBatch: number, send: (items: T[]) => Promise<void>, inCourse: () => number = () => 0) {
    this.#maxBatch = maxBatch;
    this.#send = send;
    this.#pace = new Pace(inCourse, () => void this.#sendAll());
  }

  /** Resolves when the item's batch was sent. @throws what sending it threw. */
  add(item: T): Promise<void> {
    return new Promise((resolve, reject) => {
      const count = this.#waiting.push({ item, resolve, reject });
      if (!this.#sending) this.#pace.added(count);
    });
  }

  /** Resolves when nothing waits and nothing is on its way. */
  async drained(): Promise<void> {
    if (!this.#sending) this.#pace.now();
    if (this.#sending) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  async #sendAll(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting;
      this.#waiting = [];
      const batches: Promise<void>[] = [];
      for (let from = 0; from < waiting.length; from += this.#maxBatch) {
        batches.push(this.#sendBatch(waiting.slice(from, from + this.#maxBatch)));
      }
      await Promise.all(batches);
    }
    this.#sending = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #sendBatch(batch: Waiting<T>[]): Promise<void> {
    try {
      await this.#send(batch.map(({ item }) => item));
      for (const { resolve } of batch) resolve();
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
