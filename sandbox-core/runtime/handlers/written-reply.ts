/** A reply that a function writes piece by piece, to a Node stream, instead of returning one. */
import type { HandlerReply } from "./handler.ts";

// Captured before tenant code.
const { queueMicrotask } = globalThis;
const [Stream, Strategy] = [ReadableStream, ByteLengthQueuingStrategy];
const { concat } = Buffer;

/** Bytes kept for a client that reads slower than the function writes. */
const HIGH_WATER_BYTES = 64 * 1024;

export type ReplyStart = Omit<HandlerReply, "body">;

/**
 * Collects what is written, and resolves `reply` with all of it when the function ends the reply in
 * the turn in which it began, or with a stream of it when not. The one who writes learns by `done`
 * when there is room for more.
 */
export class WrittenReply {
  readonly #reply = Promise.withResolvers<HandlerReply>();
  /** Told that nobody reads the rest. */
  readonly #onCancel: (reason: unknown) => void;
  #start: ReplyStart | null = null;
  #pieces: Uint8Array[] = [];
  #isWaiting = false;
  #isOver = false;
  #stream: ReadableStreamDefaultController<Uint8Array> | null = null;
  #held: (() => void) | null = null;

  constructor(onCancel: (reason: unknown) => void) {
    this.#onCancel = onCancel;
    // A failure may come before anybody waits for the reply.
    this.#reply.promise.catch(() => {});
  }

  /** Rejects with what `fail` was given before the first byte. */
  get reply(): Promise<HandlerReply> {
    return this.#reply.promise;
  }

  /** Whether status and header fields are fixed. */
  get hasBegun(): boolean {
    return this.#start !== null;
  }

  /** Whether nothing more can be written. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Status and header fields, which leave with the first write, be it an empty one. */
  begin(start: ReplyStart): void {
    this.#start ??= start;
  }

  /** Takes bytes, which stay as they are from here on. Calls `done` once there is room for more. */
  write(bytes: Uint8Array, done: () => void): void {
    if (this.#isOver) done();
    else if (this.#stream !== null) this.#enqueue(this.#stream, bytes, done);
    else {
      this.#pieces.push(bytes);
      if (!this.#isWaiting) queueMicrotask(() => this.#open());
      this.#isWaiting = true;
      done();
    }
  }

  #enqueue(stream: ReadableStreamDefaultController<Uint8Array>, bytes: Uint8Array, done: () => void): void {
    if (bytes.length > 0) stream.enqueue(bytes);
    if ((stream.desiredSize ?? 0) > 0) done();
    else this.#held = done;
  }

  /** Nothing more comes. An answer that has not begun is none. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#stream !== null) this.#stream.close();
    else if (this.#start !== null) this.#reply.resolve({ ...this.#start, body: concat(this.#pieces) });
    else this.#reply.reject(new Error("The function ended its answer without status and header fields."));
  }

  /** The function failed, or gave up: the reply ends with this error. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#stream !== null) this.#stream.error(error);
    else this.#reply.reject(error);
    this.#release();
  }

  #open(): void {
    if (this.#isOver || this.#start === null) return;
    const body = new Stream<Uint8Array>(
      {
        start: (stream) => {
          this.#stream = stream;
          for (const piece of this.#pieces) if (piece.length > 0) stream.enqueue(piece);
          this.#pieces = [];
        },
        pull: () => this.#release(),
        cancel: (reason) => {
          this.#isOver = true;
          this.#release();
          this.#onCancel(reason);
        },
      },
      new Strategy({ highWaterMark: HIGH_WATER_BYTES }),
    );
    this.#reply.resolve({ ...this.#start, body });
  }

  #release(): void {
    const held = this.#held;
    this.#held = null;
    held?.();
  }
}
