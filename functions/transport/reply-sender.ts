/**
 * Replies on their way from workers to the gateway that asked: Redis pub/sub, one channel for each
 * gateway.
 *
 * A message holds what one worker has for one gateway at one moment:
 *
 *   sender (8 bytes), number of the message (u48 LE), then frames: u32 LE head length, head (JSON), u32 LE body length, body
 *
 * Numbers let a gateway drop a message that a connection sent twice after it broke. A body over
 * `INLINE_REPLY_BYTES` travels under a key of its own, which the head names, and is taken by the
 * gateway in its turn.
 *
 * A gateway says now and then how many bytes it has taken of a sender, under a key that lives for a
 * minute. A sender with much data asks for `untilTaken` before: else one function's streams would
 * fill Redis, which hangs up on a gateway that is too far behind, and then all replies are lost,
 * whoever's they are.
 */
import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { KIB, MIB } from "../../infra/std/bytes.ts";
import { LruMap } from "../../infra/std/lru.ts";
import type { Reply } from "../model/invocation.ts";
import { asBuffer, newBodyKey } from "./bodies.ts";
import { Pace } from "./pace.ts";
import { channelOf, type FrameHead, HEADER_BYTES, MAX_PEERS, SENDER_BYTES, takenKey } from "./reply-frames.ts";
import { Window } from "./window.ts";

export const INLINE_REPLY_BYTES = 64 * KIB;
/** Up to here a body is copied behind its head at once. */
const SHORT_BYTES = 4 * KIB;
/** How long a large body waits for its gateway. */
const BODY_TTL_MS = 60_000;
/**
 * Most bytes that wait to be published while Redis is away; replies beyond it are dropped, their
 * gateways gave up.
 */
const MAX_PENDING_BYTES = 64 * MIB;
interface Outgoing {
  /** The calls that have a part of a stream in it. */
  streams: Set<string>;
  parts: Buffer[];
  bytes: number;
  /** Bodies that travel beside the message. */
  bodies: [key: string, body: Buffer][];
}

const NO_BODY = Buffer.alloc(0);

/** A worker's end. */
export class ReplySender {
  readonly #redis: Redis;
  readonly #sender = randomBytes(SENDER_BYTES);
  #outgoing = new Map<string, Outgoing>();
  /** By gateway. */
  readonly #windows = new LruMap<string, Window>(MAX_PEERS);
  /** Streams of which a part was dropped: what follows may not look as if nothing were missing. */
  readonly #torn = new Set<string>();
  readonly #onError: (error: Error) => void;
  #nextNumber = 1;
  #pendingBytes = 0;
  readonly #pace: Pace;
  #waiting = 0;
  #sent: Promise<unknown> = Promise.resolve();

  /**
   * @param onError told of replies that could not be sent; their gateway answers for itself.
   * @param inCourse how many calls this worker runs now: see `Pace`.
   */
  constructor(redis: Redis, onError: (error: Error) => void = () => {}, inCourse: () => number = () => 0) {
    this.#redis = redis;
    this.#onError = onError;
    this.#pace = new Pace(inCourse, () => this.#publish());
  }

  /**
   * null when a gateway keeps up with what this worker sends; else what resolves when it does, and
   * then one may send. Short replies need not ask.
   */
  untilTaken(gatewayId: string): Promise<void> | null {
    return this.#windowOf(gatewayId).untilTaken();
  }

  /** Sends a reply with others of the same moment. Replies to one gateway arrive in order. */
  send(gatewayId: string, reply: Reply): void {
    if (this.#torn.has(reply.id)) {
      if (reply.kind === "end") this.#torn.delete(reply.id);
      return;
    }
    let outgoing = this.#outgoing.get(gatewayId);
    if (!outgoing) {
      outgoing = { streams: new Set(), parts: [], bytes: 0, bodies: [] };
      this.#outgoing.set(gatewayId, outgoing);
    }
    this.#windowOf(gatewayId).sent(appendFrame(outgoing, reply));
    // A stream's pieces come one after the other: none of them waits for another call's.
    if (reply.kind === "head" && !reply.streaming) this.#pace.added(++this.#waiting);
    else this.#pace.soon();
  }

  /**
   * Resolves when everything that was sent before has reached Redis or was given up; never rejects.
   */
  async flush(): Promise<void> {
    this.#pace.now();
    await this.#sent;
  }

  #publish(): void {
    this.#waiting = 0;
    for (const [gatewayId, outgoing] of this.#outgoing) this.#publishOne(gatewayId, outgoing);
    // And not cleared: its old table would lead to the next, and with it to all that follow.
    this.#outgoing = new Map();
  }

  #windowOf(gatewayId: string): Window {
    let window = this.#windows.get(gatewayId);
    if (!window) {
      const key = takenKey(this.#sender.toString("hex"), gatewayId);
      window = new Window(async () => Number(await this.#redis.get(key).catch(() => 0)));
      this.#windows.set(gatewayId, window);
    }
    return window;
  }

  #publishOne(gatewayId: string, { streams, parts, bytes, bodies }: Outgoing): void {
    if (this.#pendingBytes + bytes > MAX_PENDING_BYTES) {
      for (const id of streams) this.#torn.add(id);
      this.#onError(new Error(`Redis takes no replies: ${bytes} bytes for the gateway ${gatewayId} were dropped.`));
      return;
    }
    this.#pendingBytes += bytes;
    const message = Buffer.concat([this.#header(), ...parts]);
    const commands: Promise<unknown>[] = bodies.map(([key, body]) => this.#redis.set(key, body, "PX", BODY_TTL_MS));
    commands.push(this.#redis.publish(channelOf(gatewayId), message));
    const done = Promise.all(commands)
      .catch((error: Error) => this.#onError(error))
      .finally(() => {
        this.#pendingBytes -= bytes;
      });
    // Nothing is the result: what `all` gives would hold every result before it, for ever.
    this.#sent = Promise.all([this.#sent, done]).then(() => undefined);
  }

  #header(): Buffer {
    const header = Buffer.alloc(HEADER_BYTES);
    this.#sender.copy(header);
    header.writeUIntLE(this.#nextNumber++, SENDER_BYTES, 6);
    return header;
  }
}

/** Gives how many bytes the frame has, its body included wherever that travels. */
function appendFrame(outgoing: Outgoing, reply: Reply): number {
  const { body = NO_BODY, ...rest } = reply as Reply & { body?: Uint8Array };
  const head: FrameHead = rest;
  const beside = body.byteLength > INLINE_REPLY_BYTES;
  if (beside) {
    head.bodyKey = newBodyKey();
    outgoing.bodies.push([head.bodyKey, asBuffer(body)]);
  }
  const inline = beside ? NO_BODY : asBuffer(body);
  const json = JSON.stringify(head);
  const jsonBytes = Buffer.byteLength(json);
  // One piece for a short reply: many go in a message, and each piece is an object.
  const isShort = inline.length <= SHORT_BYTES;
  const frame = Buffer.allocUnsafe(8 + jsonBytes + (isShort ? inline.length : 0));
  frame.writeUInt32LE(jsonBytes, 0);
  frame.write(json, 4);
  frame.writeUInt32LE(inline.length, 4 + jsonBytes);
  if (isShort) frame.set(inline, 8 + jsonBytes);
  outgoing.parts.push(frame);
  if (!isShort) outgoing.parts.push(inline);
  if (reply.kind === "chunk" || (reply.kind === "head" && reply.streaming)) outgoing.streams.add(reply.id);
  const bytes = 8 + jsonBytes + body.byteLength;
  outgoing.bytes += bytes;
  return bytes;
}
