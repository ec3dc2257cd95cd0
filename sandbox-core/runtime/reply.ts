/** Sends a handler's reply as frames. */
import {
  type CallNumber,
  encodeEnd,
  encodeLongChunk,
  encodeLongHead,
  type HeaderPairs,
  MAX_BODY_BYTES_PER_FRAME,
} from "../protocol/frames.ts";
import { describeValue } from "./describe.ts";
import type { HandlerReply } from "./handlers/handler.ts";
import { headersFault } from "./reply-headers.ts";
import type { Outlet } from "./wire.ts";

// Captured before tenant code.
const { setImmediate, clearImmediate, setTimeout, clearTimeout } = globalThis;
const { concat } = Buffer;

/** A body that the function keeps producing without pause is passed on from this size on. */
const MAX_COLLECTED_BYTES = 8 * 1024 * 1024;
/**
 * Longest wait of a stream's head for the first bytes of its body: a body that fails meanwhile
 * becomes an error.
 */
const HEAD_PATIENCE_MS = 5;
/** Size of one chunk of a large body. */
const CHUNK_BYTES = 256 * 1024;
const EMPTY = new Uint8Array(0);

/** How far a reply has come: what an error can still change depends on it. */
export type ReplyState = "unsent" | "open" | "complete";

/**
 * Sends one reply. Data that a body gives before the event loop turns goes in one `head` if it
 * fits; only a body that is open then is sent as a stream. Its head waits for the first bytes for
 * some milliseconds and then leaves without them, as whoever reads an event stream has to see that
 * it is open.
 */
export class RuntimeReply {
  readonly #wire: Outlet;
  readonly #call: CallNumber;
  /**
   * Gets what completes the reply, so that the caller can send more in the same write.
   */
  readonly #sendLast: (frames: readonly Uint8Array[]) => void;
  #statusText = "";
  #state: ReplyState = "unsent";
  #reader: ReadableStreamDefaultReader<unknown> | null = null;
  /** Why the body is not read to its end. */
  #stopped: unknown = null;
  #collected: Uint8Array[] = [];
  #collectedBytes = 0;
  /**
   * The event loop has turned and the body gave nothing: the head leaves with the first bytes, or
   * soon without any.
   */
  #isLate = false;

  constructor(wire: Outlet, call: CallNumber, sendLast: (frames: readonly Uint8Array[]) => void) {
    this.#wire = wire;
    this.#call = call;
    this.#sendLast = sendLast;
  }

  get state(): ReplyState {
    return this.#state;
  }

  /** Nothing more may be sent: the caller ends the reply in its own way. */
  close(): void {
    this.#state = "complete";
  }

  /** Stops reading the body; `send` then rejects with this reason. */
  cancel(reason: unknown): void {
    if (this.#reader === null) return;
    this.#stopped = reason;
    this.#reader.cancel(reason).catch(() => {});
  }

  /**
   * Sends the reply; resolves when all of it is sent. Rejects with what the body's producer threw,
   * or a TypeError that says what is wrong with the reply; `state` tells whether the head is out
   * then.
   */
  async send(reply: HandlerReply, method: string): Promise<void> {
    const { status, headers, body } = reply;
    this.#statusText = reply.statusText ?? "";
    if (body === null || !mayHaveBody(method, status)) {
      if (body !== null && !(body instanceof Uint8Array)) body.cancel().catch(() => {});
      return this.#sendWhole(status, headers, EMPTY);
    }
    if (body instanceof Uint8Array) return this.#sendWhole(status, headers, body);
    const reader = body.getReader();
    this.#reader = reader;
    const open = () => {
      try {
        this.#open(status, headers);
      } catch (error) {
        this.cancel(error);
      }
    };
    let patience: NodeJS.Timeout | undefined;
    const turn = setImmediate(() => {
      this.#isLate = this.#collectedBytes === 0;
      if (this.#isLate) patience = setTimeout(open, HEAD_PATIENCE_MS);
      else open();
    });
    try {
      await this.#pump(reader, status, headers);
      if (this.#stopped !== null) throw this.#stopped;
    } catch (error) {
      reader.cancel(error).catch(() => {});
      throw error;
    } finally {
      clearImmediate(turn);
      clearTimeout(patience);
    }
    if (this.#state === "open") this.#complete([encodeEnd(this.#call, null)]);
    else await this.#sendWhole(status, headers, this.#takeCollected());
  }

  async #pump(reader: ReadableStreamDefaultReader<unknown>, status: number, headers: HeaderPairs): Promise<void> {
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.#state === "complete") return;
      if (!(value instanceof Uint8Array)) {
        throw new TypeError(`The body's stream must give Uint8Arrays, and gave ${describeValue(value)}.`);
      }
      if (this.#state === "open") {
        await this.#sendChunks(value);
        continue;
      }
      this.#collected.push(value);
      this.#collectedBytes += value.length;
      if (this.#isLate && value.length > 0) this.#open(status, headers);
      else if (this.#collectedBytes > MAX_COLLECTED_BYTES) {
        const rest = this.#takeCollected();
        this.#open(status, headers);
        await this.#sendChunks(rest);
      }
    }
  }

  /**
   * Sends the head of a stream with what has been collected, at most a frame's worth of it at once.
   */
  #open(status: number, headers: HeaderPairs): void {
    if (this.#state !== "unsent") return;
    const collected = this.#takeCollected();
    const body = collected.subarray(0, MAX_BODY_BYTES_PER_FRAME);
    this.#wire.send(...this.#head(status, headers, body, { streaming: true, last: false }));
    this.#state = "open";
    for (let at = body.length; at < collected.length; at += CHUNK_BYTES) {
      this.#wire.send(...encodeLongChunk(this.#call, collected.subarray(at, at + CHUNK_BYTES)));
    }
  }

  /** Sends a reply whose body is all here. */
  async #sendWhole(status: number, headers: HeaderPairs, body: Uint8Array): Promise<void> {
    if (this.#state === "complete") return;
    if (body.length <= MAX_BODY_BYTES_PER_FRAME) {
      return this.#complete(this.#head(status, headers, body, { streaming: false, last: true }));
    }
    const first = body.subarray(0, CHUNK_BYTES);
    this.#wire.send(...this.#head(status, headers, first, { streaming: false, last: false }));
    this.#state = "open";
    await this.#sendChunks(body.subarray(CHUNK_BYTES));
    this.#complete([encodeEnd(this.#call, null)]);
  }

  async #sendChunks(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
      if (!this.#wire.writable) await this.#wire.drained();
      if ((this.#state as ReplyState) === "complete") return;
      this.#wire.send(...encodeLongChunk(this.#call, bytes.subarray(at, at + CHUNK_BYTES)));
    }
  }

  #complete(frames: readonly Uint8Array[]): void {
    if (this.#state === "complete") return;
    this.#state = "complete";
    this.#sendLast(frames);
  }

  #head(
    status: number,
    headers: HeaderPairs,
    body: Uint8Array,
    how: { streaming: boolean; last: boolean },
  ): Uint8Array[] {
    try {
      const statusText = this.#statusText;
      return encodeLongHead({ call: this.#call, status, ...(statusText && { statusText }), headers, body, ...how });
    } catch (error) {
      const reason = headersFault(headers) || (error instanceof Error ? error.message : "");
      throw new TypeError(`The function's reply has headers that cannot be sent. ${reason}`, { cause: error });
    }
  }

  #takeCollected(): Uint8Array {
    const all = this.#collected.length === 1 ? (this.#collected[0] as Uint8Array) : concat(this.#collected);
    this.#collected = [];
    this.#collectedBytes = 0;
    return all;
  }
}

/** RFC 9110 sections 6.4.1 and 9.3.2. */
function mayHaveBody(method: string, status: number): boolean {
  return method !== "HEAD" && status !== 204 && status !== 205 && status !== 304;
}
