/**
 * The calls that run in one sandbox, and the bytes that they may still send and receive. An
 * instance runs one call at a time, and a template's forks several: which of these a connection
 * belongs to is not known then.
 */
export class CallBudget {
  readonly #bytesEach: number;
  readonly #running: Set<string>;
  #used = 0;

  constructor(bytesEach: number, running: readonly string[]) {
    this.#bytesEach = bytesEach;
    this.#running = new Set(running);
  }

  began(call: string): void {
    if (this.#running.size === 0) this.#used = 0;
    this.#running.add(call);
  }

  ended(call: string): void {
    this.#running.delete(call);
    if (this.#running.size > 0) this.#used = Math.max(0, this.#used - this.#bytesEach);
  }

  /** The one that runs alone, or null. */
  get only(): string | null {
    const [call = null] = this.#running;
    return this.#running.size === 1 ? call : null;
  }

  /** Counts bytes; false once there were too many. Between calls, what the last one left counts. */
  spend(bytes: number): boolean {
    this.#used += bytes;
    return this.hasBytes;
  }

  get hasBytes(): boolean {
    return this.#used <= this.#bytesEach * Math.max(1, this.#running.size);
  }
}
