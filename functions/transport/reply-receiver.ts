/** The gateway's end of replies: takes those that are sent to it, in order. */

import type { Redis } from "ioredis";
import { KIB } from "../../infra/std/bytes.ts";
import { LruMap } from "../../infra/std/lru.ts";
import type { Reply } from "../model/invocation.ts";
import { connectionLike } from "../redis/connections.ts";
import { channelOf, type FrameHead, HEADER_BYTES, MAX_PEERS, SENDER_BYTES, takenKey } from "./reply-frames.ts";

const TAKEN_TTL_MS = 60_000;

/** A gateway speaks of what it took when it is so much more. */
const TAKEN_STEP_BYTES = 256 * KIB;

/** A gateway's reactions to what it receives. */
export interface ReplyHandlers {
  onReply: (reply: Reply) => void;
  /** A large body was gone when its turn came: the call cannot be answered whole. */
  onBodyLost?: (id: string) => void;
  /** The subscription broke: replies may be missed from now on, until `onReady`. */
  onAway?: () => void;
  /** The subscription stands. */
  onReady?: () => void;
}

/** A worker that sends a gateway replies, as the gateway knows it. */
interface Sender {
  /** Of its last message. */
  number: number;
  takenBytes: number;
  /** How many of these it has been told. */
  toldBytes: number;
}

/** A gateway's end, with a connection of its own, as Redis wants of subscribers. */
export class ReplyReceiver {
  readonly #redis: Redis;
  readonly #subscriber: Redis;
  readonly #handlers: ReplyHandlers;
  readonly #gatewayId: string;
  readonly #senders = new LruMap<string, Sender>(MAX_PEERS);
  /** Replies that wait for a large body, by invocation: those behind it must wait too. */
  readonly #waiting = new Map<string, Promise<void>>();
  /** Settles when the subscription stands for the first time. */
  readonly ready: Promise<void>;

  constructor(redis: Redis, gatewayId: string, handlers: ReplyHandlers | ((reply: Reply) => void)) {
    this.#redis = redis;
    this.#gatewayId = gatewayId;
    this.#handlers = typeof handlers === "function" ? { onReply: handlers } : handlers;
    this.#subscriber = connectionLike(redis, { maxRetriesPerRequest: null, enableOfflineQueue: true });
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
    // One connection delivers the messages of a sender in order, so that an old number is a
    // repetition.
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
    const known = this.#senders.get(name);
    if (known !== undefined) return known;
    const sender = { number: 0, takenBytes: 0, toldBytes: 0 };
    this.#senders.set(name, sender);
    return sender;
  }

  /** Tells a sender how much was taken of it. A total that is not heard is told with the next. */
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
