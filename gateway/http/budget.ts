/** How much memory clients and functions together may make this process hold. */

/** A holder of a part of a budget, who can be made to let go of it. */
export interface Holder {
  letGo(): void;
}

/**
 * A budget of which whoever holds most makes room for the others, so that a few cannot have all of
 * it for long.
 */
export class Budget {
  readonly #limit: number;
  readonly #held = new Map<Holder, number>();
  #taken = 0;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  /**
   * Has somebody hold so many bytes from now on; false when nobody holds more who could let go of
   * it.
   */
  hold(holder: Holder, bytes: number): boolean {
    const more = () => bytes - (this.#held.get(holder) ?? 0);
    while (more() > 0 && this.#taken + more() > this.#limit) {
      const largest = this.#largest();
      if (largest === undefined || largest === holder || (this.#held.get(largest) ?? 0) <= bytes) return false;
      this.#note(largest, 0);
      largest.letGo();
    }
    this.#note(holder, bytes);
    return true;
  }

  get limitBytes(): number {
    return this.#limit;
  }

  get takenBytes(): number {
    return this.#taken;
  }

  #note(holder: Holder, bytes: number): void {
    this.#taken += bytes - (this.#held.get(holder) ?? 0);
    if (bytes === 0) this.#held.delete(holder);
    else this.#held.set(holder, bytes);
  }

  #largest(): Holder | undefined {
    let largest: Holder | undefined;
    let most = 0;
    for (const [holder, bytes] of this.#held) {
      if (bytes <= most) continue;
      largest = holder;
      most = bytes;
    }
    return largest;
  }
}
