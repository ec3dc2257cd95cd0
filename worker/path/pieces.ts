/** Bytes that come in pieces. */

/** A longer piece is kept as it came. */
const LONGEST_COPIED = 4 * 1024;
const BLOCK_BYTES = 16 * 1024;
const NOTHING = new Uint8Array(0);

/**
 * Gathers pieces of a body. A piece is a view of all that was read with it, and an object besides:
 * a million of one byte would keep hundreds of megabytes. So short ones are copied together, but
 * for the first, which is mostly the only one.
 */
export class Pieces {
  #pieces: Uint8Array[] = [];
  /** What short pieces are copied to, and how much of it is filled. */
  #block: Buffer | null = null;
  #filled = 0;

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  add(bytes: Uint8Array): void {
    if (this.isEmpty || bytes.length > LONGEST_COPIED) {
      this.#seal();
      this.#pieces.push(bytes);
    } else this.#copy(bytes);
  }

  /** All of them, the first by itself and those behind it as `more`, and is empty then. */
  take(): { body: Uint8Array; more?: readonly Uint8Array[] } {
    this.#seal();
    const [body = NOTHING, ...more] = this.#pieces;
    this.#pieces = [];
    return more.length > 0 ? { body, more } : { body };
  }

  #copy(bytes: Uint8Array): void {
    if (this.#block !== null && this.#filled + bytes.length > this.#block.length) this.#seal();
    this.#block ??= Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.#block.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  #seal(): void {
    if (this.#block !== null) this.#pieces.push(this.#block.subarray(0, this.#filled));
    this.#block = null;
    this.#filled = 0;
  }
}
