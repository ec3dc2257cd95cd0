/** A gateway's end of one worker's direct connection: messages come, acknowledgements go back. */
import type { Socket } from "node:net";
import { KIB, MIB } from "../../infra/std/bytes.ts";
import { ByteQueue } from "./byte-queue.ts";
import { LENGTH_BYTES, NUMBER_BYTES, type Received, readFrames } from "./reply-frames.ts";

/** Longest message: the longest reply that can be configured, and what goes with it. */
export const MAX_MESSAGE_BYTES = 72 * MIB;
/** Bytes are acknowledged when they are so many, or a while after the first of them. */
const ACK_BYTES = 256 * KIB;
const ACK_MS = 100;
const MOST_UNREAD_BYTES = 16 * KIB;
/** How long what was published before a message may take to come. */
const HOLD_MS = 5_000;

export interface InletOptions {
  socket: Socket;
  /** Number of the last message of this sender that was taken, whichever way it came. */
  last: () => number;
  /** Takes the next message. */
  onMessage: (number: number, replies: Received[]) => void;
  /** Told once, when the connection has ended; with an error where the worker is to blame. */
  onEnd: (error: unknown) => void;
}

export class DirectInlet {
  readonly #options: InletOptions;
  readonly #queue = new ByteQueue();
  #ackTimer: NodeJS.Timeout | undefined;
  #unacknowledged = 0;
  #isAsked = false;
  /** Runs while messages that were published before those here are still on their way. */
  #holding: NodeJS.Timeout | undefined;
  #error: unknown = null;

  constructor(options: InletOptions) {
    this.#options = options;
    const { socket } = options;
    socket.on("data", (bytes: Buffer) => {
      this.#queue.add(bytes);
      this.advance();
    });
    socket.once("close", () => {
      clearTimeout(this.#ackTimer);
      clearTimeout(this.#holding);
      options.onEnd(this.#error);
    });
  }

  close(): void {
    this.#options.socket.destroy();
  }

  /** Takes what can be taken. Say so when `last` has grown by another way. */
  advance(): void {
    try {
      while (!this.#options.socket.destroyed && this.#takeOne());
      if (this.#isAsked) this.#acknowledge();
    } catch (error) {
      this.#error = error;
      this.close();
    }
  }

  /** Whether there may be more. */
  #takeOne(): boolean {
    const queue = this.#queue;
    if (queue.length < LENGTH_BYTES) return false;
    const head = queue.peek(Math.min(queue.length, LENGTH_BYTES + NUMBER_BYTES));
    const bytes = head.readUInt32LE(0);
    // A worker that wants to end asks for the last acknowledgement.
    if (bytes === 0) {
      queue.take(LENGTH_BYTES);
      this.#isAsked = true;
      return true;
    }
    if (bytes < NUMBER_BYTES || bytes > MAX_MESSAGE_BYTES) throw new RangeError(`A message has ${bytes} bytes.`);
    if (queue.length < LENGTH_BYTES + bytes) return false;
    const number = head.readUIntLE(LENGTH_BYTES, NUMBER_BYTES);
    if (number > this.#options.last() + 1) return this.#hold();
    this.#release();
    queue.take(LENGTH_BYTES + NUMBER_BYTES);
    const body = queue.split(bytes - NUMBER_BYTES);
    // A lower number is a repetition.
    if (number === this.#options.last() + 1) this.#options.onMessage(number, wholeFrames(body));
    this.#unacknowledged += bytes;
    if (this.#unacknowledged >= ACK_BYTES) this.#acknowledge();
    else this.#ackTimer ??= setTimeout(() => this.#acknowledge(), ACK_MS);
    return true;
  }

  #acknowledge(): void {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    this.#unacknowledged = 0;
    this.#isAsked = false;
    // A worker that reads none of them is sent no more, as the next says all.
    if (this.#options.socket.writableLength > MOST_UNREAD_BYTES) return;
    const ack = Buffer.allocUnsafe(NUMBER_BYTES);
    ack.writeUIntLE(this.#options.last(), 0, NUMBER_BYTES);
    this.#options.socket.write(ack);
  }

  /** Reads no more until what was published before has come. The worker publishes what is lost. */
  #hold(): false {
    this.#options.socket.pause();
    this.#holding ??= setTimeout(() => this.close(), HOLD_MS);
    return false;
  }

  #release(): void {
    if (this.#holding === undefined) return;
    clearTimeout(this.#holding);
    this.#holding = undefined;
    this.#options.socket.resume();
  }
}

/** @throws what `readFrames` throws, and RangeError for a body that is not in its message. */
function wholeFrames(source: ByteQueue): Received[] {
  const replies = readFrames(source);
  if (replies.some(({ besideBytes }) => besideBytes > 0)) throw new RangeError("A body is not in its message.");
  return replies;
}
