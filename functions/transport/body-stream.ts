/** A body of a request on its way to a worker. */
import { KIB } from "../../infra/std/bytes.ts";

/** The sender hears of so many bytes at once that were passed on. */
const CREDIT_STEP_BYTES = 64 * KIB;

/** Why the rest of a body does not come: its way broke, or its client left. */
export type BodyLoss = "lost" | "gone";

/** A body of which the rest will not come. */
export class BodyLostError extends Error {
  override name = "BodyLostError";
  readonly how: BodyLoss;

  constructor(how: BodyLoss) {
    super(how === "gone" ? "The client left before its request had arrived." : "The rest of the body was lost.");
    this.how = how;
  }
}

/** The way back to whoever sends a body in pieces. */
export interface BodyWay {
  /** More bytes may come. */
  allow(bytes: number): void;
  /** Nothing more may come. */
  reset(): void;
}

/** Pieces of a body as they come, for one reader; memory holds what the way allows at once. */
export class BodyStream {
  readonly #way: BodyWay;
  #pieces: Buffer[] = [];
  #end: "end" | BodyLoss | null = null;
  #isCancelled = false;
  #hasBegun = false;
  #bytes = 0;
  #read = 0;
  #wake: (() => void) | null = null;
  #onLost: (how: BodyLoss) => void = () => {};

  constructor(way: BodyWay) {
    this.#way = way;
  }

  /** Bytes that have come. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether somebody has begun to read; there is no second time. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** Whether all of it has come and was read. */
  get isWhole(): boolean {
    return this.#end === "end" && !this.#isCancelled && this.#pieces.length === 0;
  }

  /** Whether the rest does not come. */
  get isLost(): boolean {
    return this.#end === "lost" || this.#end === "gone";
  }

  /** Has somebody told when the rest does not come, or at once when that is so. */
  whenLost(listener: (how: BodyLoss) => void): void {
    this.#onLost = listener;
    if (this.#end === "lost" || this.#end === "gone") listener(this.#end);
  }

  /** The next piece; null at the end, or when the rest was cancelled. @throws BodyLostError */
  async next(): Promise<Buffer | null> {
    this.#hasBegun = true;
    while (this.#pieces.length === 0) {
      if (this.#isCancelled || this.#end === "end") return null;
      if (this.#end !== null) throw new BodyLostError(this.#end);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const piece = this.#pieces.shift() as Buffer;
    this.#read += piece.length;
    if (this.#read >= CREDIT_STEP_BYTES && this.#end === null) {
      this.#way.allow(this.#read);
      this.#read = 0;
    }
    return piece;
  }

  /** All of it, which is short. @throws BodyLostError */
  async all(): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let piece = await this.next(); piece !== null; piece = await this.next()) pieces.push(piece);
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
  }

  /** Nobody wants the rest. */
  cancel(): void {
    if (this.#isCancelled) return;
    this.#isCancelled = true;
    this.#pieces = [];
    if (this.#end === null) this.#way.reset();
    this.#wakeUp();
  }

  /** A piece has come. */
  push(piece: Buffer): void {
    this.#bytes += piece.length;
    if (this.#isCancelled) return;
    this.#pieces.push(piece);
    this.#wakeUp();
  }

  /** Nothing more comes. */
  end(how: "end" | BodyLoss): void {
    if (this.#end !== null || this.#isCancelled) return;
    this.#end = how;
    if (how !== "end") this.#onLost(how);
    this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
