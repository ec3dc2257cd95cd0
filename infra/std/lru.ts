/** A map with a limit, which drops what was not used for longest. */

/**
 * The library lru-cache does the same with much more beside, allocates for its limit ahead, and
 * refuses an entry above the limit; here the newest entry always stays.
 */
export class LruMap<Key, Value> {
  readonly #limit: number;
  readonly #weigh: (value: Value) => number;
  /** Least recently used first. */
  readonly #entries = new Map<Key, Value>();
  /** The most recently used key: moving it to the end again would be work for nothing. */
  #latest: Key | undefined;
  #weight = 0;

  /**
   * @param limit most weight of all entries together.
   * @param weigh gives an entry's weight, which must not change while the entry is here; each
   * weighs 1 by default.
   */
  constructor(limit: number, weigh: (value: Value) => number = () => 1) {
    this.#limit = limit;
    this.#weigh = weigh;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Whether there is such an entry. Asking is not using. */
  has(key: Key): boolean {
    return this.#entries.has(key);
  }

  /** The value of an entry, which is the most recently used one now. */
  get(key: Key): Value | undefined {
    const value = this.#entries.get(key);
    if (value === undefined || key === this.#latest) return value;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    this.#latest = key;
    return value;
  }

  /**
   * Puts an entry in as the most recently used one, and drops others until all are within the
   * limit.
   */
  set(key: Key, value: Value): void {
    this.delete(key);
    this.#entries.set(key, value);
    this.#latest = key;
    this.#weight += this.#weigh(value);
    for (const oldest of this.#entries.keys()) {
      if (this.#weight <= this.#limit || oldest === key) return;
      this.delete(oldest);
    }
  }

  delete(key: Key): void {
    const value = this.#entries.get(key);
    if (value === undefined) return;
    this.#entries.delete(key);
    this.#weight -= this.#weigh(value);
  }

  /** All entries as they are now, the least recently used first. Looking is not using. */
  entries(): [Key, Value][] {
    return [...this.#entries];
  }

  clear(): void {
    this.#entries.clear();
    this.#weight = 0;
  }
}
