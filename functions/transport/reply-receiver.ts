/**
 * The gateway's end of replies: takes those that are sent to it, in order, whichever way they come.
 *
 * The messages of a sender are numbered. What was published comes in order, so that a higher number
 * is the next, and a lower one a repetition. On a direct connection the next is the one behind the
 * last: with any other, something that was published before is still on its way.
 */

import type { Socket } from "node:net";
import type { Redis } from "ioredis";
import { KIB } from "../../infra/std/bytes.ts";
import { LruMap } from "../../infra/std/lru.ts";
import type { Reply } from "../model/invocation.ts";
import { connectionLike } from "../redis/connections.ts";
import { replyBodyKey } from "./bodies.ts";
import { type BodyDesk, bodyChannelOf } from "./body-desk.ts";
import { ByteQueue } from "./byte-queue.ts";
import { DirectInlet } from "./direct-inlet.ts";
import { DirectListener, type DirectPlaces } from "./direct-listener.ts";
import {
  channelOf,
  HEADER_BYTES,
  MAX_PEERS,
  NUMBER_BYTES,
  type Received,
  readFrames,
  SENDER_BYTES,
  takenKey,
} from "./reply-frames.ts";

const TAKEN_TTL_MS = 60_000;

/** A gateway speaks of what it took when it is so much more. */
const TAKEN_STEP_BYTES = 256 * KIB;
/** Pieces of a body up to here are copied together. */
const COPIED_BYTES = 64 * KIB;

const NO_BODY = Buffer.alloc(0);

/** A gateway's reactions to what it receives. */
export interface ReplyHandlers {
  onReply: (reply: Reply) => void;
  /** A large body was gone when its turn came: the call cannot be answered whole. */
  onBodyLost?: (id: string) => void;
  /** The subscription broke: replies may be missed from now on, until `onReady`. */
  onAway?: () => void;
  /** The subscription stands. */
  onReady?: () => void;
  /** Something is wrong with direct connections; replies come by the subscription meanwhile. */
  onTrouble?: (message: string, error?: unknown) => void;
}

/** A worker that sends a gateway replies, as the gateway knows it. */
interface Sender {
  readonly name: string;
  /** Of its last message. */
  number: number;
  takenBytes: number;
  /** How many of these it has been told. */
  toldBytes: number;
  /** Its direct connection. */
  inlet: DirectInlet | null;
}

/** A gateway's end, with a connection of its own, as Redis wants of subscribers. */
export class ReplyReceiver {
  readonly #redis: Redis;
  readonly #subscriber: Redis;
  readonly #handlers: ReplyHandlers;
  readonly #gatewayId: string;
  readonly #senders = new LruMap<string, Sender>(MAX_PEERS);
  readonly #inlets = new Set<DirectInlet>();
  readonly #listener: DirectListener;
  /** Replies that wait for a large body, by invocation: those behind it must wait too. */
  readonly #waiting = new Map<string, Promise<void>>();
  readonly #messages = { published: 0, direct: 0 };
  /**
   * Settles when the subscription stands for the first time, and workers can dial; rejects when the
   * address for that cannot be listened on.
   */
  readonly ready: Promise<void>;

  /**
   * @param places where workers can dial; nowhere unless given.
   * @param desk gets those that dial, or ask through Redis, for bodies.
   */
  constructor(
    redis: Redis,
    gatewayId: string,
    handlers: ReplyHandlers | ((reply: Reply) => void),
    places: DirectPlaces = { socketDir: null, address: null },
    desk: BodyDesk | null = null,
  ) {
    this.#redis = redis;
    this.#gatewayId = gatewayId;
    this.#handlers = typeof handlers === "function" ? { onReply: handlers } : handlers;
    this.#subscriber = connectionLike(redis, { maxRetriesPerRequest: null, enableOfflineQueue: true });
    this.#subscriber.on("messageBuffer", (channel: Buffer, message: Buffer) => {
      if (desk !== null && channel.toString() === bodyChannelOf(gatewayId)) void desk.hear(message.toString());
      else this.#hear(message);
    });
    this.#subscriber.on("close", () => this.#handlers.onAway?.());
    this.#listener = new DirectListener({
      ...places,
      redis,
      gatewayId,
      onWorker: (sender, socket, purpose) => {
        if (purpose === "replies") this.#onWorker(sender, socket);
        else if (desk === null) socket.destroy();
        else desk.connect(sender, socket);
      },
      onTrouble: (message, error) => this.#handlers.onTrouble?.(message, error),
    });
    const subscribed = this.#keepSubscribed(
      desk ? [channelOf(gatewayId), bodyChannelOf(gatewayId)] : [channelOf(gatewayId)],
    );
    this.ready = Promise.all([subscribed, this.#listener.start()]).then(() => undefined);
    // Whoever does not wait for it is told by the calls that fail.
    this.ready.catch(() => {});
  }

  /** Direct connections that stand, those that may come to, and messages that came each way. */
  get figures() {
    return { connections: this.#inlets.size, strangers: this.#listener.strangers, messages: { ...this.#messages } };
  }

  /** Ends the subscription and all connections. */
  close(): void {
    this.#subscriber.disconnect();
    this.#listener.close();
    for (const inlet of this.#inlets) inlet.close();
  }

  /** ioredis subscribes again by itself after a break; a PING behind that tells when it has. */
  #keepSubscribed(channels: string[]): Promise<void> {
    return new Promise((resolve) => {
      const subscribe = (): void => {
        this.#subscriber.subscribe(...channels).then(
          () => {
            resolve();
            void this.#listener.announce();
            this.#handlers.onReady?.();
          },
          // The connection broke once more, and "ready" comes again with the next.
          () => {},
        );
      };
      this.#subscriber.on("ready", subscribe);
    });
  }

  #hear(message: Buffer): void {
    if (message.length < HEADER_BYTES) return;
    const sender = this.#senderOf(message.toString("hex", 0, SENDER_BYTES));
    const number = message.readUIntLE(SENDER_BYTES, NUMBER_BYTES);
    const replies = readFrames(new ByteQueue(message.subarray(HEADER_BYTES)));
    if (number > sender.number) this.#onPublished(sender, number, replies);
    else this.#onRepeated(sender, number, replies);
  }

  #onPublished(sender: Sender, number: number, replies: Received[]): void {
    this.#messages.published++;
    sender.number = number;
    for (const [index, received] of replies.entries()) {
      const key = received.besideBytes > 0 ? replyBodyKey(sender.name, number, index) : null;
      this.#inTurn(received, key, () => this.#took(sender, received.bytes));
    }
    sender.inlet?.advance();
  }

  /** A message that came before, by another way or sent twice, counts as taken. */
  #onRepeated(sender: Sender, number: number, replies: Received[]): void {
    const keys = replies.flatMap(({ besideBytes }, index) =>
      besideBytes > 0 ? [replyBodyKey(sender.name, number, index)] : [],
    );
    if (keys.length > 0) this.#redis.unlink(keys).catch(() => {});
    for (const { bytes } of replies) this.#took(sender, bytes);
  }

  /** A worker has dialled. It has one connection: with a new one, it takes the old for broken. */
  #onWorker(name: string, socket: Socket): void {
    const sender = this.#senderOf(name);
    sender.inlet?.close();
    if (this.#inlets.size >= MAX_PEERS) return void socket.destroy();
    const inlet = new DirectInlet({
      socket,
      last: () => sender.number,
      onMessage: (number, replies) => {
        // A sender stays known for as long as it speaks.
        if (this.#senders.get(name) !== sender) this.#senders.set(name, sender);
        this.#messages.direct++;
        sender.number = number;
        for (const received of replies) this.#inTurn(received, null, () => {});
      },
      onEnd: (error) => {
        this.#inlets.delete(inlet);
        if (sender.inlet === inlet) sender.inlet = null;
        if (error !== null) this.#handlers.onTrouble?.("a worker said what cannot be understood", error);
      },
    });
    sender.inlet = inlet;
    this.#inlets.add(inlet);
  }

  #senderOf(name: string): Sender {
    const known = this.#senders.get(name);
    if (known !== undefined) return known;
    const sender = { name, number: 0, takenBytes: 0, toldBytes: 0, inlet: null };
    this.#senders.set(name, sender);
    return sender;
  }

  /**
   * Tells a sender how much was taken of what it published. A total that is not heard is told with
   * the next.
   */
  #took(sender: Sender, bytes: number): void {
    sender.takenBytes += bytes;
    if (sender.takenBytes - sender.toldBytes < TAKEN_STEP_BYTES) return;
    sender.toldBytes = sender.takenBytes;
    const key = takenKey(sender.name, this.#gatewayId);
    this.#redis.set(key, sender.takenBytes, "PX", TAKEN_TTL_MS).catch(() => {});
  }

  /**
   * @param bodyKey where the body is, if it is not here.
   * @param onTaken told once the reply is handed over.
   */
  #inTurn({ head, pieces }: Received, bodyKey: string | null, onTaken: () => void): void {
    const before = this.#waiting.get(head.id);
    if (!before && bodyKey === null) {
      this.#handOver(head, pieces);
      onTaken();
      return;
    }
    // Asked for at once, so that the bodies of a stream are fetched side by side.
    const body = bodyKey === null ? Promise.resolve(pieces) : this.#takeBody(bodyKey);
    const turn = Promise.all([body, before]).then(([bytes]) => {
      if (this.#waiting.get(head.id) === turn) this.#waiting.delete(head.id);
      if (bytes) this.#handOver(head, bytes);
      else this.#handlers.onBodyLost?.(head.id);
      onTaken();
    });
    this.#waiting.set(head.id, turn);
  }

  async #takeBody(key: string): Promise<Buffer[] | null> {
    const body = await this.#redis.getdelBuffer(key).catch(() => null);
    return body && [body];
  }

  #handOver(head: Received["head"], pieces: readonly Buffer[]): void {
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const isJoined = pieces.length > 1 && bytes <= COPIED_BYTES;
    const [body = NO_BODY, ...more] = isJoined ? [Buffer.concat(pieces, bytes)] : pieces;
    const tell = (parts: object) => this.#handlers.onReply({ ...head, ...parts } as Reply);
    if (head.kind === "end") tell({});
    else if (head.kind === "head") tell(more.length > 0 ? { body, more } : { body });
    else for (const piece of [body, ...more]) tell({ body: piece });
  }
}
