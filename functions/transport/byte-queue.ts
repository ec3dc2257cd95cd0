/** Bytes that come in pieces and are taken in others, without being copied together. */

const NOTHING = Buffer.alloc(0);

export class ByteQueue {
  #pieces: Buffer[] = [];
  /** How far the first piece has been taken. */
  #offset = 0;
  #length = 0;

  /** @param piece what is there from the beginning. */
  constructor(piece?: Buffer) {
    if (piece !== undefined) this.add(piece);
  }

  /** Bytes that have come and were not taken. */
  get length(): number {
    return this.#length;
  }

  add(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.#length += piece.length;
  }

  /** The first bytes, of which there must be so many; copied where they came in several pieces. */
  take(bytes: number): Buffer {
    const [only = NOTHING, ...more] = this.takePieces(bytes);
    return more.length === 0 ? only : Buffer.concat([only, ...more], bytes);
  }

  /** The same bytes, which stay here. */
  peek(bytes: number): Buffer {
    const [first = NOTHING] = this.#pieces;
    if (first.length - this.#offset >= bytes) return first.subarray(this.#offset, this.#offset + bytes);
    const taken = this.take(bytes);
    // In front of what is left of the piece that was taken from last.
    const [rest, ...others] = this.#pieces;
    this.#pieces = rest === undefined ? [taken] : [taken, rest.subarray(this.#offset), ...others];
    this.#offset = 0;
    this.#length += bytes;
    return taken;
  }

  /** The first bytes, of which there must be so many, as they came. */
  takePieces(bytes: number): Buffer[] {
    if (bytes > this.#length) throw new RangeError(`${bytes} bytes were wanted, and there are ${this.#length}.`);
    const taken: Buffer[] = [];
    let index = 0;
    for (let wanted = bytes; wanted > 0; ) {
      const piece = this.#pieces[index] as Buffer;
      const end = Math.min(piece.length, this.#offset + wanted);
      taken.push(piece.subarray(this.#offset, end));
      wanted -= end - this.#offset;
      this.#offset = end === piece.length ? 0 : end;
      if (end === piece.length) index++;
    }
    if (index > 0) this.#pieces.splice(0, index);
    this.#length -= bytes;
    return taken;
  }

  /** The first bytes as a queue of their own. */
  split(bytes: number): ByteQueue {
    const part = new ByteQueue();
    for (const piece of this.takePieces(bytes)) part.add(piece);
    return part;
  }
}
