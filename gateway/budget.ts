/** How much memory clients and functions together may make this process hold. */
export class Budget {
  readonly #limit: number;
  #taken = 0;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  /** Takes bytes, all or none; false when there are not so many left. */
  take(bytes: number): boolean {
    if (this.#taken + bytes > this.#limit) return false;
    this.#taken += bytes;
    return true;
  }

  /** Gives back what was taken. */
  give(bytes: number): void {
    this.#taken -= bytes;
  }

  get takenBytes(): number {
    return this.#taken;
  }
}
