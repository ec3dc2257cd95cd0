/** The body of a request that goes on to a worker while it arrives. */
import type { IncomingMessage } from "node:http";
import { SandpiperError } from "../../functions/model/errors.ts";
import type { BodySource } from "../../functions/transport/body-source.ts";
import { KIB } from "../../infra/std/bytes.ts";
import type { Budget, Holder } from "./budget.ts";

/** Most bytes that are kept of a body which no worker has asked for, and of one that is read. */
const WAITING_BYTES = 64 * KIB;
const READ_BYTES = 256 * KIB;
/** A piece keeps more than its bytes: a client may send them one by one. */
const PIECE_COST_BYTES = 256;
/** A shorter piece is joined with those behind it. */
const SHORT_BYTES = 8 * KIB;

/** How much of bodies is taken. */
export interface BodyLimits {
  maxBytes: number;
  /** Memory that all bodies being read may hold together. */
  budget: Budget;
}

/**
 * Holds a part of a body, and has the client wait while nobody reads that. The first piece too many
 * for a limit ends it, as does its client when it leaves.
 */
export class StreamedBody implements BodySource, Holder {
  /** How many bytes the client said that there are; null: it did not. */
  readonly announcedBytes: number | null;
  readonly #request: IncomingMessage;
  readonly #limits: BodyLimits;
  #pieces: Buffer[] = [];
  /** The cost of the pieces. */
  #held = 0;
  #total = 0;
  #mostHeld = WAITING_BYTES;
  #end: "end" | "gone" | null = null;
  #refusal: SandpiperError | null = null;
  #isDropped = false;
  #onChange: () => void = () => {};
  #onRefused: (error: SandpiperError) => void = () => {};

  /** Begins to read. */
  constructor(request: IncomingMessage, limits: BodyLimits) {
    this.announcedBytes = lengthOf(request);
    this.#request = request;
    this.#limits = limits;
    request.on("data", this.#take);
    request.once("end", () => this.#finish("end"));
    request.once("close", () => this.#finish("gone"));
    request.on("error", () => {});
  }

  get end(): "end" | "gone" | null {
    return this.#pieces.length === 0 ? this.#end : null;
  }

  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  /** Has somebody told when a limit ends it. */
  onRefused(listener: (error: SandpiperError) => void): void {
    this.#onRefused = listener;
    if (this.#refusal !== null) listener(this.#refusal);
  }

  /**
   * Resolves when so many bytes have come, or all. @throws SandpiperError when a limit ended it, or
   * its client left before
   */
  async begun(bytes: number): Promise<void> {
    await this.#until(() => this.#total >= bytes);
    if (this.#refusal !== null) throw this.#refusal;
    if (this.#end === "gone") throw leftEarly();
  }

  /** All of it when it has ended, which is not here any more; else null. */
  whole(): Buffer | null {
    if (this.#end !== "end") return null;
    const [first = Buffer.alloc(0), ...more] = this.#pieces;
    this.#release();
    return more.length === 0 ? first : Buffer.concat([first, ...more]);
  }

  read(maxBytes: number): Buffer | null {
    this.#mostHeld = Math.max(this.#mostHeld, READ_BYTES);
    const [first] = this.#pieces;
    if (first === undefined) return null;
    const piece = first.length >= SHORT_BYTES ? this.#readFirst(first, maxBytes) : this.#readShort(maxBytes);
    this.#limits.budget.hold(this, this.#held);
    if (this.#held <= this.#mostHeld / 2 && this.#end === null && this.#request.isPaused()) this.#request.resume();
    return piece;
  }

  async collect(maxBytes: number): Promise<Buffer | null> {
    this.#mostHeld = Number.POSITIVE_INFINITY;
    this.#request.resume();
    await this.#until(() => this.#total > maxBytes);
    if (this.#total <= maxBytes) return this.whole();
    this.#refuse(tooLarge(maxBytes));
    return null;
  }

  drop(): void {
    if (this.#isDropped) return;
    this.#isDropped = true;
    // Never as if it were whole.
    this.#end = "gone";
    this.#release();
    this.#request.off("data", this.#take);
    // The rest of the body is for nobody; the next request of the connection is behind it.
    this.#request.resume();
    this.#onChange();
  }

  /** A client that is slow makes way for others. */
  letGo(): void {
    this.#request.destroy();
  }

  readonly #take = (piece: Buffer): void => {
    this.#total += piece.length;
    if (this.#total > this.#limits.maxBytes) return void this.#refuse(tooLarge(this.#limits.maxBytes));
    this.#pieces.push(piece);
    this.#held += piece.length + PIECE_COST_BYTES;
    if (!this.#limits.budget.hold(this, this.#held)) return void this.#refuse(new SandpiperError("OVERLOADED"));
    if (this.#held >= this.#mostHeld) this.#request.pause();
    this.#onChange();
  };

  #readFirst(first: Buffer, maxBytes: number): Buffer {
    const piece = first.subarray(0, maxBytes);
    if (piece.length < first.length) this.#pieces[0] = first.subarray(maxBytes);
    else this.#shift();
    this.#held -= piece.length;
    return piece;
  }

  #readShort(maxBytes: number): Buffer {
    const pieces: Buffer[] = [];
    let bytes = 0;
    for (let next = this.#pieces[0]; next !== undefined && next.length < SHORT_BYTES; next = this.#pieces[0]) {
      if (pieces.length > 0 && bytes + next.length > maxBytes) break;
      const piece = this.#readFirst(next, maxBytes);
      pieces.push(piece);
      bytes += piece.length;
    }
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces, bytes);
  }

  #shift(): void {
    this.#pieces.shift();
    this.#held -= PIECE_COST_BYTES;
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (this.#end === null && !isSo()) {
      await new Promise<void>((resolve) => {
        this.#onChange = resolve;
      });
    }
  }

  #finish(end: "end" | "gone"): void {
    if (this.#end !== null) return;
    this.#end = end;
    if (end === "gone") this.#release();
    this.#onChange();
  }

  #refuse(error: SandpiperError): void {
    if (this.#end !== null) return;
    this.#refusal = error;
    this.#finish("gone");
    this.#onRefused(error);
    this.drop();
  }

  #release(): void {
    this.#pieces = [];
    this.#held = 0;
    this.#limits.budget.hold(this, 0);
  }
}

/** The length that a request announces; null: none. */
export function lengthOf({ headers }: IncomingMessage): number | null {
  const length = headers["content-length"];
  return length === undefined || headers["transfer-encoding"] !== undefined ? null : Number(length);
}

/** The error of a request whose client left before all of it was there. */
export function leftEarly(cause?: unknown): SandpiperError {
  return new SandpiperError("CLIENT_GONE", { message: "The client left before its request had arrived.", cause });
}

export function tooLarge(maxBytes: number): SandpiperError {
  return new SandpiperError("BODY_TOO_LARGE", { message: `The request body is larger than ${maxBytes} bytes.` });
}
