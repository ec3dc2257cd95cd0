/**
 * The room that a worker has for calls, and the calls that it keeps for a moment until there is
 * some.
 */

/**
 * To put calls back into the queue for others costs as much as several calls, so with short ones a
 * worker that is full would do little else. Another worker that has room gets them this much later.
 */
const KEEP_MS = 10;

export class CallSlots {
  readonly #free: () => number;
  readonly #waiting = new Set<() => void>();
  /** How many calls are kept. */
  #kept = 0;
  #closed = false;

  /** @param free for how many calls there is room now; those that were begun count at once. */
  constructor(free: () => number) {
    this.#free = free;
  }

  /** Whether there is more room than is waited for. */
  get isOpen(): boolean {
    return this.#free() > this.#kept;
  }

  /** Say so when there may be more room, or another reason to look. */
  changed(): void {
    for (const goOn of this.#waiting) goOn();
  }

  /** There is no room any more. */
  close(): void {
    this.#closed = true;
    this.changed();
  }

  /** Resolves when it has changed, or after so many milliseconds. */
  change(limitMs?: number): Promise<void> {
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const goOn = () => {
        clearTimeout(timer);
        this.#waiting.delete(goOn);
        resolve();
      };
      this.#waiting.add(goOn);
      if (limitMs !== undefined) timer = setTimeout(goOn, limitMs);
    });
  }

  /** Keeps room for so many calls until it is known which of them may begin. */
  async keptWhile<T>(count: number, known: Promise<T>): Promise<T> {
    this.#kept += count;
    const which = await known;
    this.#kept -= count;
    return which;
  }

  /**
   * Begins calls in order as there is room for them, now and for a moment; gives those that there
   * was none for.
   */
  async fill<Call>(calls: Call[], begin: (call: Call) => void): Promise<Call[]> {
    const deadlineMs = performance.now() + KEEP_MS;
    let [rest, leftMs] = [this.#beginSome(calls, begin), KEEP_MS];
    while (rest.length > 0 && !this.#closed && leftMs > 0) {
      this.#kept += rest.length;
      await this.change(leftMs);
      this.#kept -= rest.length;
      rest = this.#beginSome(rest, begin);
      leftMs = deadlineMs - performance.now();
    }
    return rest;
  }

  #beginSome<Call>(calls: Call[], begin: (call: Call) => void): Call[] {
    const slots = this.#closed ? 0 : Math.max(0, this.#free());
    for (const call of calls.slice(0, slots)) begin(call);
    return calls.slice(slots);
  }
}
