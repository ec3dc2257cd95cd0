/**
 * Replies on their way from workers to the gateway that asked: Redis pub/sub, one channel for each gateway.
 *
 * A message holds what one worker has for one gateway at one moment:
 *
 *   sender (8 bytes), number of the message (u48 LE), then frames: u32 LE head length, head (JSON), u32 LE body length, body
 *
 * Numbers let a gateway drop a message that a connection sent twice after it broke. A body over `INLINE_REPLY_BYTES`
 * travels under a key of its own, which the head names, and is taken by the gateway in its turn.
 *
 * A gateway says now and then how many bytes it has taken of a sender, under a key that lives for a minute. Who has much to
 * send asks for `room` before: else one function's streams would fill Redis, which hangs up on a gateway that is too far
 * behind, and then all replies are lost, whoever's they are.
 */
import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import type { Reply } from "../model/invocation.ts";
import { asBuffer, newBodyKey } from "./bodies.ts";
import { Pace } from "./pace.ts";
import { Window } from "./window.ts";

export const INLINE_REPLY_BYTES = 64 * 1024;
/** How long a large body waits for its gateway. */
const BODY_TTL_MS = 60_000;
/** Most bytes that wait to be published while Redis is away; replies beyond it are dropped, their gateways gave up. */
const MAX_PENDING_BYTES = 64 * 1024 * 1024;
const SENDER_BYTES = 8;
const HEADER_BYTES = SENDER_BYTES + 6;

const TAKEN_TTL_MS = 60_000;
/** A gateway speaks of what it took when it is so much more. */
const TAKEN_STEP_BYTES = 256 * 1024;
/** How many gateways a sender knows, and how many senders a gateway. */
const MAX_PEERS = 1_000;

const channelOf = (gatewayId: string): string => `sp:reply:${gatewayId}`;
const takenKey = (sender: string, gatewayId: string): string => `sp:taken:${sender}:${gatewayId}`;

/** The head of a frame: a reply without its body, or with the key of it. */
type FrameHead = Omit<Reply, "body"> & { bodyKey?: string };

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
  readonly #outgoing = new Map<string, Outgoing>();
  /** By gateway. */
  readonly #windows = new Map<string, Window>();
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
   * null when a gateway keeps up with what this worker sends; else what resolves when it does, and then one may send. Short
   * replies need not ask.
   */
  room(gatewayId: string): Promise<void> | null {
    return this.#windowOf(gatewayId).room();
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

  /** Resolves when everything that was sent before has reached Redis or was given up; never rejects. */
  async flush(): Promise<void> {
    this.#pace.now();
    await this.#sent;
  }

  #publish(): void {
    this.#waiting = 0;
    for (const [gatewayId, outgoing] of this.#outgoing) this.#publishOne(gatewayId, outgoing);
    this.#outgoing.clear();
  }

  #windowOf(gatewayId: string): Window {
    let window = this.#windows.get(gatewayId);
    if (!window) {
      const key = takenKey(this.#sender.toString("hex"), gatewayId);
      window = new Window(async () => Number(await this.#redis.get(key).catch(() => 0)));
      this.#windows.set(gatewayId, window);
      if (this.#windows.size > MAX_PEERS) this.#windows.delete(this.#windows.keys().next().value ?? "");
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
    this.#sent = Promise.all([this.#sent, done]);
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
  const json = Buffer.from(JSON.stringify(head));
  const lengths = Buffer.allocUnsafe(8);
  lengths.writeUInt32LE(json.length, 0);
  lengths.writeUInt32LE(inline.length, 4);
  outgoing.parts.push(lengths.subarray(0, 4), json, lengths.subarray(4), inline);
  if (reply.kind === "chunk" || (reply.kind === "head" && reply.streaming)) outgoing.streams.add(reply.id);
  const bytes = 8 + json.length + body.byteLength;
  outgoing.bytes += bytes;
  return bytes;
}

/** What a gateway does with what it receives. */
export interface ReplyHandlers {
  onReply: (reply: Reply) => void;
  /** A large body was gone when its turn came: the call cannot be answered whole. */
  onBodyLost?: (id: string) => void;
  /** The subscription broke: replies may be missed from now on, until `onReady`. */
  onAway?: () => void;
  /** The subscription stands. */
  onReady?: () => void;
}

/** What a gateway knows of a worker that sends it replies. */
interface Sender {
  /** Of its last message. */
  number: number;
  takenBytes: number;
  /** How many of these it has been told. */
  toldBytes: number;
}

/** A gateway's end. It has a connection of its own, as Redis wants of subscribers. */
export class ReplyReceiver {
  readonly #redis: Redis;
  readonly #subscriber: Redis;
  readonly #handlers: ReplyHandlers;
  readonly #gatewayId: string;
  readonly #senders = new Map<string, Sender>();
  /** Replies that wait for a large body, by invocation: those behind it must wait too. */
  readonly #waiting = new Map<string, Promise<void>>();
  /** Settles when the subscription stands for the first time. */
  readonly ready: Promise<void>;

  constructor(redis: Redis, gatewayId: string, handlers: ReplyHandlers | ((reply: Reply) => void)) {
    this.#redis = redis;
    this.#gatewayId = gatewayId;
    this.#handlers = typeof handlers === "function" ? { onReply: handlers } : handlers;
    this.#subscriber = redis.duplicate({ maxRetriesPerRequest: null, enableOfflineQueue: true });
    this.#subscriber.on("error", () => {});
    this.#subscriber.on("messageBuffer", (_channel: Buffer, message: Buffer) => this.#onMessage(message));
    this.#subscriber.on("close", () => this.#handlers.onAway?.());
    this.ready = this.#keepSubscribed(channelOf(gatewayId));
  }

  /** Ends the subscription. */
  close(): void {
    this.#subscriber.disconnect();
  }

  /** ioredis subscribes again by itself after a break; a PING behind that tells when it has. */
  #keepSubscribed(channel: string): Promise<void> {
    return new Promise((resolve) => {
      const subscribe = (): void => {
        this.#subscriber.subscribe(channel).then(
          () => {
            resolve();
            this.#handlers.onReady?.();
          },
          // The connection broke once more, and "ready" comes again with the next.
          () => {},
        );
      };
      this.#subscriber.on("ready", subscribe);
    });
  }

  #onMessage(message: Buffer): void {
    if (message.length < HEADER_BYTES) return;
    const name = message.toString("hex", 0, SENDER_BYTES);
    const sender = this.#senderOf(name);
    // One connection delivers the messages of a sender in order, so that an old number is a repetition.
    const number = message.readUIntLE(SENDER_BYTES, 6);
    if (number <= sender.number) return;
    sender.number = number;
    let offset = HEADER_BYTES;
    while (offset < message.length) {
      const headEnd = offset + 4 + message.readUInt32LE(offset);
      const head = JSON.parse(message.toString("utf8", offset + 4, headEnd)) as FrameHead;
      const bodyEnd = headEnd + 4 + message.readUInt32LE(headEnd);
      const frameBytes = bodyEnd - offset;
      const body = message.subarray(headEnd + 4, bodyEnd);
      this.#inTurn(head, body, (beside) => this.#took(name, sender, frameBytes + beside));
      offset = bodyEnd;
    }
  }

  #senderOf(name: string): Sender {
    const sender = this.#senders.get(name) ?? { number: 0, takenBytes: 0, toldBytes: 0 };
    // Re-inserted, so that the map's first entry is the sender that has been silent for longest.
    this.#senders.delete(name);
    this.#senders.set(name, sender);
    if (this.#senders.size > MAX_PEERS) this.#senders.delete(this.#senders.keys().next().value ?? "");
    return sender;
  }

  /** Tells a sender how much was taken of it. What is not heard is told with the next. */
  #took(name: string, sender: Sender, bytes: number): void {
    sender.takenBytes += bytes;
    if (sender.takenBytes - sender.toldBytes < TAKEN_STEP_BYTES) return;
    sender.toldBytes = sender.takenBytes;
    this.#redis.set(takenKey(name, this.#gatewayId), sender.takenBytes, "PX", TAKEN_TTL_MS).catch(() => {});
  }

  /** @param onTaken told how many bytes came beside the message, once the reply is handed over. */
  #inTurn(head: FrameHead, inline: Buffer, onTaken: (besideBytes: number) => void): void {
    const before = this.#waiting.get(head.id);
    if (!before && head.bodyKey === undefined) {
      this.#handlers.onReply(replyOf(head, inline));
      onTaken(0);
      return;
    }
    // Asked for at once, so that the bodies of a stream are fetched side by side.
    const body = head.bodyKey === undefined ? Promise.resolve(inline) : this.#takeBody(head.bodyKey);
    const turn = Promise.all([body, before]).then(([bytes]) => {
      if (this.#waiting.get(head.id) === turn) this.#waiting.delete(head.id);
      if (bytes) this.#handlers.onReply(replyOf(head, bytes));
      else this.#handlers.onBodyLost?.(head.id);
      onTaken(head.bodyKey === undefined ? 0 : (bytes?.length ?? 0));
    });
    this.#waiting.set(head.id, turn);
  }

  async #takeBody(key: string): Promise<Buffer | null> {
    return this.#redis.getdelBuffer(key).catch(() => null);
  }
}

function replyOf({ bodyKey: _, ...head }: FrameHead, body: Buffer): Reply {
  return (head.kind === "end" ? head : { ...head, body }) as Reply;
}
