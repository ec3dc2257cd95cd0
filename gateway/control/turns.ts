/**
 * One thing at a time for each key, in the order of asking; things of different keys do not wait
 * for each other.
 */
export class KeyedTurns {
  /** The end of the last that was asked for, for each key that has one in course. */
  readonly #last = new Map<string, Promise<void>>();

  /**
   * Does the work when all that was asked for before with this key has ended; gives or throws what
   * it does.
   */
  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const result = (this.#last.get(key) ?? Promise.resolve()).then(work);
    const ended = result.then(
      () => {},
      () => {},
    );
    this.#last.set(key, ended);
    await ended;
    if (this.#last.get(key) === ended) this.#last.delete(key);
    return await result;
  }
}
