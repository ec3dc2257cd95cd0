/**
 * Replies on their way from workers to the gateway that asked: Redis pub/sub, one channel for each gateway.
 *
 * A message holds what one worker has for one gateway at one moment:
 *
 *   sender (8 bytes), number of the message (u48 LE), then frames: u32 LE head length, head (JSON), u32 LE body length, body
 *
 * Numbers let a gateway drop a message that a connection sent twice after it broke. A body over `INLINE_REPLY_BYTES`
 * travels under a key of its own, which the head names, and is taken by the gateway in its turn.
 */
import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { asBuffer, newBodyKey } from "./bodies.ts";
import type { Reply } from "./invocation.ts";
import { Pace } from "./pace.ts";

export const INLINE_REPLY_BYTES = 64 * 1024;
/** How long a large body waits for its gateway. */
const BODY_TTL_MS = 60_000;
/** Most bytes that wait to be published while Redis is away; replies beyond it are dropped, their gateways gave up. */
const MAX_PENDING_BYTES = 64 * 1024 * 1024;
const SENDER_BYTES = 8;
const HEADER_BYTES = SENDER_BYTES + 6;

const channelOf = (gatewayId: string): string => `sp:reply:${gatewayId}`;

/** The head of a frame: a reply without its body, or with the key of it. */
type FrameHead = Omit<Reply, "body"> & { bodyKey?: string };

interface Outgoing {
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

  /** Sends a reply with others of the same moment. Replies to one gateway arrive in order. */
  send(gatewayId: string, reply: Reply): void {
    let outgoing = this.#outgoing.get(gatewayId);
    if (!outgoing) {
      outgoing = { parts: [], bytes: 0, bodies: [] };
      this.#outgoing.set(gatewayId, outgoing);
    }
    appendFrame(outgoing, reply);
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

  #publishOne(gatewayId: string, { parts, bytes, bodies }: Outgoing): void {
    if (this.#pendingBytes + bytes > MAX_PENDING_BYTES) {
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

function appendFrame(outgoing: Outgoing, reply: Reply): void {
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
  outgoing.bytes += 8 + json.length + body.byteLength;
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

/** A gateway's end. It has a connection of its own, as Redis wants of subscribers. */
export class ReplyReceiver {
  readonly #redis: Redis;
  readonly #subscriber: Redis;
  readonly #handlers: ReplyHandlers;
  readonly #lastNumbers = new Map<string, number>();
  /** Replies that wait for a large body, by invocation: those behind it must wait too. */
  readonly #waiting = new Map<string, Promise<void>>();
  /** Settles when the subscription stands for the first time. */
  readonly ready: Promise<void>;

  constructor(redis: Redis, gatewayId: string, handlers: ReplyHandlers | ((reply: Reply) => void)) {
    this.#redis = redis;
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
    if (message.length < HEADER_BYTES || this.#isRepeated(message)) return;
    let offset = HEADER_BYTES;
    while (offset < message.length) {
      const headEnd = offset + 4 + message.readUInt32LE(offset);
      const head = JSON.parse(message.toString("utf8", offset + 4, headEnd)) as FrameHead;
      const bodyEnd = headEnd + 4 + message.readUInt32LE(headEnd);
      this.#inTurn(head, message.subarray(headEnd + 4, bodyEnd));
      offset = bodyEnd;
    }
  }

  /** Each sender counts its messages; one connection delivers them in order, so that an old number is a repetition. */
  #isRepeated(message: Buffer): boolean {
    const sender = message.toString("hex", 0, SENDER_BYTES);
    const number = message.readUIntLE(SENDER_BYTES, 6);
    if (number <= (this.#lastNumbers.get(sender) ?? 0)) return true;
    // Re-inserted, so that the map's first entry is the sender that has been silent for longest.
    this.#lastNumbers.delete(sender);
    this.#lastNumbers.set(sender, number);
    if (this.#lastNumbers.size > MAX_SENDERS) this.#lastNumbers.delete(this.#lastNumbers.keys().next().value ?? "");
    return false;
  }

  #inTurn(head: FrameHead, inline: Buffer): void {
    const before = this.#waiting.get(head.id);
    if (!before && head.bodyKey === undefined) {
      this.#handlers.onReply(replyOf(head, inline));
      return;
    }
    // Asked for at once, so that the bodies of a stream are fetched side by side.
    const body = head.bodyKey === undefined ? Promise.resolve(inline) : this.#takeBody(head.bodyKey);
    const turn = Promise.all([body, before]).then(([bytes]) => {
      if (this.#waiting.get(head.id) === turn) this.#waiting.delete(head.id);
      if (bytes) this.#handlers.onReply(replyOf(head, bytes));
      else this.#handlers.onBodyLost?.(head.id);
    });
    this.#waiting.set(head.id, turn);
  }

  async #takeBody(key: string): Promise<Buffer | null> {
    return this.#redis.getdelBuffer(key).catch(() => null);
  }
}

const MAX_SENDERS = 1_000;

function replyOf({ bodyKey: _, ...head }: FrameHead, body: Buffer): Reply {
  return (head.kind === "end" ? head : { ...head, body }) as Reply;
}
