/**
 * How replies look on their way, and where they go.
 *
 * A message holds what one worker has for one gateway at one moment:
 *
 *   number (u48 LE), then for each reply: u32 LE head length, head (JSON), u32 LE body length, body
 *
 * Published, the sender's name (8 bytes) stands before it, and a body whose length has its highest
 * bit set is not in the message but under a key of its own. On a direct connection the length of
 * the message (u32 LE) stands before it, and bodies are in it whatever their size.
 */

import { KIB } from "../../infra/std/bytes.ts";
import type { Reply } from "../model/invocation.ts";
import { asBuffer, replyBodyKey } from "./bodies.ts";

export const SENDER_BYTES = 8;
export const NUMBER_BYTES = 6;
export const HEADER_BYTES = SENDER_BYTES + NUMBER_BYTES;
export const LENGTH_BYTES = 4;

/** How many gateways a sender knows, and how many senders a gateway. */
export const MAX_PEERS = 1_000;

/** A longer body is published beside its message. */
export const INLINE_REPLY_BYTES = 64 * KIB;
/** Up to here a body is copied behind its head at once. */
const SHORT_BYTES = 4 * KIB;
/** Set in a body's length when the body is beside the message. */
const BESIDE = 0x80_00_00_00;

export const channelOf = (gatewayId: string): string => `sp:reply:${gatewayId}`;

export const takenKey = (sender: string, gatewayId: string): string => `sp:taken:${sender}:${gatewayId}`;

/** A reply that can go either way. */
export interface Frame {
  /** Lengths and head, and a short body behind them. */
  prefix: Buffer;
  /** Where the body's length stands in it. */
  lengthAt: number;
  /** The body in pieces, where it is not short. */
  pieces: readonly Buffer[];
  bodyBytes: number;
}

/** Replies that travel together. */
export interface Message {
  number: number;
  frames: Frame[];
  /** The calls that have a part of a stream in it. */
  streams: Set<string>;
  /** Of all its frames, their bodies included. */
  bytes: number;
}

/** A received reply: its head, and its body in pieces, or how many bytes of it are elsewhere. */
export interface Received {
  head: Omit<Reply, "body">;
  pieces: readonly Buffer[];
  besideBytes: number;
  /** Of the frame, its body included wherever that is. */
  bytes: number;
}

export function frameOf(reply: Reply): Frame {
  const { body, more, ...head } = reply as Reply & { body?: Uint8Array; more?: readonly Uint8Array[] };
  const all = [...(body === undefined ? [] : [body]), ...(more ?? [])].map(asBuffer);
  const bodyBytes = all.reduce((sum, piece) => sum + piece.length, 0);
  const json = JSON.stringify(head);
  const jsonBytes = Buffer.byteLength(json);
  const lengthAt = LENGTH_BYTES + jsonBytes;
  // One piece for a short reply: many go in a message, and each piece is an object.
  const isShort = bodyBytes <= SHORT_BYTES;
  const prefix = Buffer.allocUnsafe(lengthAt + LENGTH_BYTES + (isShort ? bodyBytes : 0));
  prefix.writeUInt32LE(jsonBytes, 0);
  prefix.write(json, LENGTH_BYTES);
  if (isShort) {
    let at = lengthAt + LENGTH_BYTES;
    for (const piece of all) {
      prefix.set(piece, at);
      at += piece.length;
    }
  }
  return { prefix, lengthAt, pieces: isShort ? [] : all, bodyBytes };
}

/** Bytes of a frame, its body included. */
export function frameBytes({ lengthAt, bodyBytes }: Frame): number {
  return lengthAt + LENGTH_BYTES + bodyBytes;
}

/** A message as it is published, and the bodies to be put beside it before. */
export function publishedForm(sender: Buffer, { number, frames }: Message) {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  sender.copy(header);
  header.writeUIntLE(number, SENDER_BYTES, NUMBER_BYTES);
  const parts: Buffer[] = [header];
  const bodies: [key: string, body: Buffer][] = [];
  for (const [index, { prefix, lengthAt, pieces, bodyBytes }] of frames.entries()) {
    const isBeside = bodyBytes > INLINE_REPLY_BYTES;
    prefix.writeUInt32LE(isBeside ? bodyBytes + BESIDE : bodyBytes, lengthAt);
    parts.push(prefix);
    if (isBeside) bodies.push([replyBodyKey(sender.toString("hex"), number, index), Buffer.concat(pieces)]);
    else parts.push(...pieces);
  }
  return { bytes: Buffer.concat(parts), bodies };
}

/** A message as it goes over a direct connection, in pieces that are not copied together. */
export function directForm({ number, frames, bytes }: Message): Buffer[] {
  const header = Buffer.allocUnsafe(LENGTH_BYTES + NUMBER_BYTES);
  header.writeUInt32LE(NUMBER_BYTES + bytes, 0);
  header.writeUIntLE(number, LENGTH_BYTES, NUMBER_BYTES);
  const parts: Buffer[] = [header];
  for (const { prefix, lengthAt, pieces, bodyBytes } of frames) {
    prefix.writeUInt32LE(bodyBytes, lengthAt);
    parts.push(prefix, ...pieces);
  }
  return parts;
}

/** Bytes of a message that were received, in the pieces in which they came. */
export interface ByteSource {
  readonly length: number;
  /** So many bytes, copied together where they came in several pieces. */
  take(bytes: number): Buffer;
  /** So many bytes as they came. */
  takePieces(bytes: number): Buffer[];
}

/**
 * The replies of a message, of which the source has what follows the number, and nothing else.
 * @throws RangeError and SyntaxError for what is no message.
 */
export function readFrames(source: ByteSource): Received[] {
  const all: Received[] = [];
  while (source.length > 0) {
    const jsonBytes = lengthFrom(source);
    const head = JSON.parse(partOf(source, jsonBytes).toString("utf8")) as Received["head"];
    const length = lengthFrom(source);
    const isBeside = length >= BESIDE;
    const bodyBytes = isBeside ? length - BESIDE : length;
    if (!isBeside && bodyBytes > source.length) throw new RangeError("A body is longer than its message.");
    const pieces = isBeside ? [] : source.takePieces(bodyBytes);
    const besideBytes = isBeside ? bodyBytes : 0;
    all.push({ head, pieces, besideBytes, bytes: 2 * LENGTH_BYTES + jsonBytes + bodyBytes });
  }
  return all;
}

function lengthFrom(source: ByteSource): number {
  return partOf(source, LENGTH_BYTES).readUInt32LE(0);
}

function partOf(source: ByteSource, bytes: number): Buffer {
  if (bytes > source.length) throw new RangeError("A part is longer than its message.");
  return source.take(bytes);
}
