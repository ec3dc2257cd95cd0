/** A gateway's end of one worker's body connection: the worker asks, and bodies go as they come. */
import type { Socket } from "node:net";
import { KIB } from "../../infra/std/bytes.ts";
import { type BodyEnd, CREDIT_BYTES, encodeTold, MAX_PIECE_BYTES, takeWant, type Want } from "./body-frames.ts";
import type { BodySource } from "./body-source.ts";
import { ByteQueue } from "./byte-queue.ts";

/** Most bodies that a worker takes at once. */
const MAX_STREAMS = 4_096;
/** With so much written that the worker has not read, nothing more is taken of any body. */
const AHEAD_BYTES = 512 * KIB;
/** A piece up to here is copied together with its head: one more buffer costs more. */
const COPIED_BYTES = 16 * KIB;

interface Stream {
  number: number;
  source: BodySource;
  /** Bytes that may still go. */
  credit: number;
}

export interface BodyOutletOptions {
  socket: Socket;
  /** The body that a ticket is for, which nobody else gets from then on; null: it is for none. */
  redeem: (ticket: string, id: string) => BodySource | null;
  /** Told once, when the connection has ended; with an error where the worker is to blame. */
  onEnd: (error: unknown) => void;
}

export class BodyOutlet {
  readonly #options: BodyOutletOptions;
  readonly #heard = new ByteQueue();
  readonly #streams = new Map<number, Stream>();
  /** Those that may have something to send. */
  readonly #ready = new Set<Stream>();
  #error: unknown = null;

  constructor(options: BodyOutletOptions) {
    this.#options = options;
    const { socket } = options;
    socket.on("data", (bytes: Buffer) => this.#hear(bytes));
    socket.on("drain", () => this.#pump());
    socket.once("close", () => {
      for (const { source } of this.#streams.values()) source.drop();
      this.#streams.clear();
      this.#ready.clear();
      options.onEnd(this.#error);
    });
  }

  close(): void {
    this.#options.socket.destroy();
  }

  #hear(bytes: Buffer): void {
    this.#heard.add(bytes);
    try {
      for (let want = this.#next(); want !== null; want = this.#next()) this.#obey(want);
    } catch (error) {
      this.#error = error;
      this.close();
    }
    this.#pump();
  }

  #next(): Want | null {
    return this.#options.socket.destroyed ? null : takeWant(this.#heard);
  }

  /** @throws RangeError for what no worker would want */
  #obey(want: Want): void {
    if (want.word === "take") return void this.#begin(want);
    // Of one that has ended meanwhile.
    const stream = this.#streams.get(want.stream);
    if (stream === undefined) return;
    if (want.word === "reset") return void this.#drop(stream);
    stream.credit += want.bytes;
    if (stream.credit > CREDIT_BYTES) throw new RangeError(`A worker allows ${stream.credit} bytes.`);
    this.#ready.add(stream);
  }

  #begin({ stream: number, id, ticket }: Extract<Want, { word: "take" }>): void {
    if (this.#streams.has(number)) throw new RangeError(`A worker asks twice under the number ${number}.`);
    const source = this.#streams.size < MAX_STREAMS ? this.#options.redeem(ticket, id) : null;
    if (source === null) return void this.#tell("lost", number);
    const stream = { number, source, credit: CREDIT_BYTES };
    this.#streams.set(number, stream);
    source.onChange(() => {
      if (this.#streams.get(number) !== stream) return;
      this.#ready.add(stream);
      this.#pump();
    });
    this.#ready.add(stream);
  }

  /** Sends what may go, of one body after the other. */
  #pump(): void {
    const { socket } = this.#options;
    if (this.#ready.size === 0 || socket.destroyed) return;
    socket.cork();
    while (this.#ready.size > 0 && socket.writableLength < AHEAD_BYTES) {
      const [stream] = this.#ready;
      if (stream === undefined) break;
      this.#ready.delete(stream);
      if (this.#sendOne(stream)) this.#ready.add(stream);
    }
    socket.uncork();
  }

  /** Whether there may be more of it now. */
  #sendOne(stream: Stream): boolean {
    const { number, source } = stream;
    const piece = stream.credit > 0 ? source.read(Math.min(stream.credit, MAX_PIECE_BYTES)) : null;
    if (piece !== null) {
      stream.credit -= piece.length;
      this.#send(number, piece);
    }
    if (source.end !== null) {
      this.#streams.delete(number);
      this.#tell(source.end, number);
    }
    return piece !== null && source.end === null;
  }

  #send(number: number, piece: Buffer): void {
    const { socket } = this.#options;
    const head = encodeTold("data", number, piece.length);
    if (piece.length <= COPIED_BYTES) return void socket.write(Buffer.concat([head, piece]));
    socket.write(head);
    socket.write(piece);
  }

  #tell(end: BodyEnd, number: number): void {
    this.#options.socket.write(encodeTold(end, number));
  }

  #drop(stream: Stream): void {
    this.#streams.delete(stream.number);
    this.#ready.delete(stream);
    stream.source.drop();
  }
}
