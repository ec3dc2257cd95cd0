/** The body of a request as it comes in. */
import type { Outlet } from "./wire.ts";

// Captured before tenant code.
const OriginalError = Error;

/** Bytes kept for a function that reads slower than its client sends. */
const HIGH_WATER_BYTES = 256 * 1024;

/**
 * Collects the pieces of one request's body, and hands them on as a stream or all at once. Beyond
 * HIGH_WATER_BYTES that nobody has read, it stops the wire until somebody does, or until the call
 * is over.
 */
export class IncomingBody {
  readonly #wire: Outlet;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #ended: boolean;
  #lost = false;
  #error: Error | null = null;
  #discarding = false;
  #paused = false;
  /** Wakes the one reader there can be. */
  #wake: (() => void) | null = null;

  constructor(wire: Outlet, first: Uint8Array, follows: boolean) {
    this.#wire = wire;
    this.#ended = !follows;
    if (first.length > 0) this.#keep(first);
  }

  /** Whether nothing more of it comes. */
  get complete(): boolean {
    return this.#ended || this.#lost;
  }

  /** A piece arrived. */
  push(bytes: Uint8Array): void {
    if (this.#discarding || bytes.length === 0) return;
    this.#keep(bytes);
    if (this.#bytes > HIGH_WATER_BYTES && !this.#paused) {
      this.#paused = true;
      this.#wire.pause();
    }
    this.#wakeUp();
  }

  /** The last piece has arrived. */
  end(): void {
    this.#ended = true;
    this.#wakeUp();
  }

  /** The rest is for nobody. */
  fail(error: Error): void {
    if (this.complete) return;
    this.#error = error;
    this.#wakeUp();
  }

  /** The rest will not come. */
  lose(): void {
    if (this.#ended) return;
    this.#lost = true;
    this.#error ??= new OriginalError("The request's body broke off: its sender or the way to it is gone.");
    this.#wakeUp();
  }

  /** Nobody will read the rest. */
  discard(): void {
    this.#discarding = true;
    this.#pieces = [];
    this.#bytes = 0;
    this.#resume();
  }

  /** All bytes. Rejects when the body fails. */
  async all(): Promise<Buffer> {
    const pieces: Uint8Array[] = [];
    for (let piece = await this.next(); piece !== null; piece = await this.next()) pieces.push(piece);
    return pieces.length === 1 ? asBuffer(pieces[0] as Uint8Array) : Buffer.concat(pieces);
  }

  /** The bytes as a stream of Uint8Array. */
  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const piece = await this.next();
          if (piece === null) controller.close();
          else controller.enqueue(piece);
        },
        cancel: () => this.discard(),
      },
      // Pieces wait here and not in the stream, so that what was not asked for still slows the
      // sender.
      { highWaterMark: 0 },
    );
  }

  /** The next bytes, or null at the end. Rejects when the body fails. One reader at a time. */
  async next(): Promise<Uint8Array | null> {
    while (this.#pieces.length === 0) {
      if (this.#error !== null) throw this.#error;
      if (this.#ended || this.#discarding) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const piece = this.#pieces.shift() as Uint8Array;
    this.#bytes -= piece.length;
    if (this.#bytes <= HIGH_WATER_BYTES) this.#resume();
    return piece;
  }

  #keep(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#wire.resume();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
