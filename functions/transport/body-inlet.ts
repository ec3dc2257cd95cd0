/** A worker's end of its body connection to one gateway. */
import type { Socket } from "node:net";
import { CREDIT_BYTES, encodeCredit, encodeReset, encodeTake, readTold, TOLD_BYTES, type Told } from "./body-frames.ts";
import { BodyStream } from "./body-stream.ts";
import { ByteQueue } from "./byte-queue.ts";

interface Arriving {
  stream: BodyStream;
  /** Bytes that may still come. */
  credit: number;
}

export class BodyInlet {
  readonly #socket: Socket;
  readonly #onEnd: (error: unknown) => void;
  readonly #heard = new ByteQueue();
  readonly #arriving = new Map<number, Arriving>();
  /** The piece of which more bytes are to come. */
  #piece: Told | null = null;
  #last = 0;
  #error: unknown = null;

  /**
   * @param socket has been welcomed.
   * @param onEnd told once, when the connection has ended; with an error where the gateway is to
   * blame.
   */
  constructor(socket: Socket, onEnd: (error: unknown) => void) {
    this.#socket = socket;
    this.#onEnd = onEnd;
    socket.unref();
    socket.on("data", (bytes: Buffer) => this.#hear(bytes));
    socket.once("close", () => this.#lose());
  }

  /** Whether bodies can be asked for. */
  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  /** The body of a call, which begins to come. */
  take(id: string, ticket: string): BodyStream {
    this.#last = (this.#last % 0xffff_ffff) + 1;
    const number = this.#last;
    const arriving: Arriving = {
      credit: CREDIT_BYTES,
      stream: new BodyStream({
        allow: (bytes) => {
          arriving.credit += bytes;
          this.#socket.write(encodeCredit(number, bytes));
        },
        reset: () => {
          // Pieces that are on their way still come, and are for nobody.
          if (this.#arriving.delete(number)) this.#socket.write(encodeReset(number));
        },
      }),
    };
    this.#arriving.set(number, arriving);
    this.#socket.write(encodeTake(number, id, ticket));
    return arriving.stream;
  }

  close(): void {
    this.#socket.destroy();
  }

  #hear(bytes: Buffer): void {
    this.#heard.add(bytes);
    try {
      while (!this.#socket.destroyed && this.#takeOne());
    } catch (error) {
      this.#error = error;
      this.close();
    }
  }

  /** Whether there may be more. @throws RangeError for what no gateway says */
  #takeOne(): boolean {
    const heard = this.#heard;
    if (this.#piece === null) {
      if (heard.length < TOLD_BYTES) return false;
      this.#piece = readTold(heard.take(TOLD_BYTES));
    }
    const told = this.#piece;
    const arriving = this.#arriving.get(told.stream);
    if (told.word !== "data") {
      this.#piece = null;
      this.#arriving.delete(told.stream);
      arriving?.stream.end(told.word);
      return true;
    }
    const here = Math.min(told.bytes, heard.length);
    told.bytes -= here;
    if (told.bytes === 0) this.#piece = null;
    const pieces = heard.takePieces(here);
    if (arriving !== undefined) deliver(arriving, pieces, here);
    return this.#piece === null;
  }

  #lose(): void {
    for (const { stream } of this.#arriving.values()) stream.end("lost");
    this.#arriving.clear();
    this.#onEnd(this.#error);
  }
}

function deliver(arriving: Arriving, pieces: Buffer[], bytes: number): void {
  arriving.credit -= bytes;
  if (arriving.credit < 0) throw new RangeError("A gateway sent more of a body than it may.");
  for (const piece of pieces) arriving.stream.push(piece);
}
