/** A body as the gateway has it that took its request. */

export interface BodySource {
  /** How it ends when nothing is left to `read`; null: more may come. */
  readonly end: "end" | "gone" | null;
  /** Bytes that are here, at most so many; null when there are none now. */
  read(maxBytes: number): Buffer | null;
  /** Has somebody told whenever there may be something new; one at a time. */
  onChange(listener: () => void): void;
  /** All of it, at most so many bytes; null when it does not come, or is longer. */
  collect(maxBytes: number): Promise<Buffer | null>;
  /** Nobody reads the rest. */
  drop(): void;
}

/** A body that is here. */
export class WholeBody implements BodySource {
  #rest: Buffer;
  readonly #onDrop: () => void;
  #isDropped = false;

  /** @param onDrop told when nothing of it is held any more */
  constructor(bytes: Buffer, onDrop: () => void) {
    this.#rest = bytes;
    this.#onDrop = onDrop;
  }

  get end(): "end" | "gone" | null {
    if (this.#isDropped) return "gone";
    return this.#rest.length === 0 ? "end" : null;
  }

  read(maxBytes: number): Buffer | null {
    if (this.#rest.length === 0) return null;
    const piece = this.#rest.subarray(0, maxBytes);
    this.#rest = this.#rest.subarray(piece.length);
    if (this.#rest.length === 0) this.#onDrop();
    return piece;
  }

  onChange(): void {}

  async collect(maxBytes: number): Promise<Buffer | null> {
    const rest = this.#rest;
    this.drop();
    return rest.length > maxBytes ? null : rest;
  }

  drop(): void {
    this.#isDropped = true;
    this.#rest = this.#rest.subarray(0, 0);
    this.#onDrop();
  }
}
