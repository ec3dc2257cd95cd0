/**
 * The words of a body connection, a worker's second one to a gateway, over which bodies of requests
 * come as they arrive, so that none of them stands before a reply.
 *
 *     worker -> gateway   u8 word, u32 LE stream, and
 *       1 take            u8 length of the invocation's id, the id, ticket (32 bytes)
 *       2 credit          u32 LE bytes that may come beyond those that were allowed before
 *       3 reset           nothing more of the stream is wanted
 *
 *     gateway -> worker   u8 word, u32 LE stream, u32 LE bytes that follow, at most MAX_PIECE_BYTES
 *       1 data            a piece of the body
 *       2 end             the body is complete
 *       3 lost            the rest will not come
 *       4 gone            the rest will not come, and nobody waits for the call
 *
 * The worker numbers streams, each with a number of its own, and allows CREDIT_BYTES with `take`.
 */
import { KIB } from "../../infra/std/bytes.ts";
import type { BodyLoss } from "./body-stream.ts";
import type { ByteQueue } from "./byte-queue.ts";

export const TICKET_BYTES = 32;
/** Most bytes of a body that are on their way to a worker which has not passed them on. */
export const CREDIT_BYTES = 256 * KIB;
export const MAX_PIECE_BYTES = 64 * KIB;

const WANT = { take: 1, credit: 2, reset: 3 } as const;
const TOLD = { data: 1, end: 2, lost: 3, gone: 4 } as const;
/** A word and its stream. */
const START_BYTES = 5;
export const TOLD_BYTES = START_BYTES + 4;

/** How a body ends. */
export type BodyEnd = "end" | BodyLoss;

export type Want =
  | { word: "take"; stream: number; id: string; ticket: string }
  | { word: "credit"; stream: number; bytes: number }
  | { word: "reset"; stream: number };

export interface Told {
  word: keyof typeof TOLD;
  stream: number;
  /** How many follow. */
  bytes: number;
}

function start(word: number, stream: number, more: number): Buffer {
  const frame = Buffer.allocUnsafe(START_BYTES + more);
  frame.writeUInt8(word, 0);
  frame.writeUInt32LE(stream, 1);
  return frame;
}

/** @param ticket in base64url */
export function encodeTake(stream: number, id: string, ticket: string): Buffer {
  const name = Buffer.from(id, "latin1");
  const frame = start(WANT.take, stream, 1);
  frame.writeUInt8(name.length, START_BYTES);
  return Buffer.concat([frame, name, Buffer.from(ticket, "base64url")]);
}

export function encodeCredit(stream: number, bytes: number): Buffer {
  const frame = start(WANT.credit, stream, 4);
  frame.writeUInt32LE(bytes, START_BYTES);
  return frame;
}

export function encodeReset(stream: number): Buffer {
  return start(WANT.reset, stream, 0);
}

export function encodeTold(word: keyof typeof TOLD, stream: number, bytes = 0): Buffer {
  const frame = start(TOLD[word], stream, 4);
  frame.writeUInt32LE(bytes, START_BYTES);
  return frame;
}

/**
 * The next word of a worker, taken off what came; null while it is not all here.
 * @throws RangeError for what is none
 */
export function takeWant(queue: ByteQueue): Want | null {
  if (queue.length < START_BYTES) return null;
  const head = queue.peek(Math.min(queue.length, START_BYTES + 1));
  const [word, stream] = [head.readUInt8(0), head.readUInt32LE(1)];
  if (word === WANT.reset) {
    queue.take(START_BYTES);
    return { word: "reset", stream };
  }
  if (word === WANT.credit) {
    if (queue.length < START_BYTES + 4) return null;
    return { word: "credit", stream, bytes: queue.take(START_BYTES + 4).readUInt32LE(START_BYTES) };
  }
  if (word !== WANT.take) throw new RangeError(`A worker said the word ${word}.`);
  if (head.length === START_BYTES) return null;
  const idBytes = head.readUInt8(START_BYTES);
  const bytes = START_BYTES + 1 + idBytes + TICKET_BYTES;
  if (queue.length < bytes) return null;
  const frame = queue.take(bytes);
  const id = frame.toString("latin1", START_BYTES + 1, START_BYTES + 1 + idBytes);
  return { word: "take", stream, id, ticket: frame.toString("base64url", bytes - TICKET_BYTES) };
}

/** The next word of a gateway. @throws RangeError for what is nothing of the kind */
export function readTold(frame: Buffer): Told {
  const [code, stream, bytes] = [frame.readUInt8(0), frame.readUInt32LE(1), frame.readUInt32LE(START_BYTES)];
  const word = (["data", "end", "lost", "gone"] as const)[code - 1];
  if (word === undefined) throw new RangeError(`A gateway said the word ${code}.`);
  if (bytes > MAX_PIECE_BYTES || (word !== "data" && bytes > 0)) throw new RangeError(`A piece has ${bytes} bytes.`);
  return { word, stream, bytes };
}
