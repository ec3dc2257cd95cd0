/**
 * How a worker gets the bodies that gateways keep for it: over a connection that it dials, and
 * through Redis where it cannot.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { LruMap } from "../../infra/std/lru.ts";
import { type Backoff, backoffMs } from "../../infra/std/time.ts";
import { askedBodyKey, type BodyQuestion, bodyChannelOf } from "./body-desk.ts";
import { BodyInlet } from "./body-inlet.ts";
import { BodyStream } from "./body-stream.ts";
import { dial } from "./direct-dialer.ts";
import { announcementKey } from "./direct-handshake.ts";
import { MAX_PEERS, SENDER_BYTES } from "./reply-frames.ts";

const DIAL_AGAIN: Backoff = { firstMs: 1_000, longestMs: 30_000 };
/** Pauses between questions whether a body is in Redis. */
const LOOK_AGAIN: Backoff = { firstMs: 5, longestMs: 250 };
/** After how many of them it is asked whether the gateway is alive. */
const LOOKS_BEFORE_DOUBT = 40;

/** The connection to one gateway. */
interface Peer {
  inlet: BodyInlet | null;
  dialing: Promise<void> | null;
  attempts: number;
  nextDialMs: number;
}

export interface BodyFetcherOptions {
  /** Told of gateways whose connection ended by what they said on it. */
  onBroken?: (gatewayId: string, error: unknown) => void;
  /** Whether connections are dialled. */
  isDirect?: boolean;
}

export class BodyFetcher {
  readonly #redis: Redis;
  readonly #options: BodyFetcherOptions;
  readonly #peers = new LruMap<string, Peer>(MAX_PEERS);
  #isClosed = false;

  /** @param redis tells where gateways listen, and carries bodies where none can be dialled. */
  constructor(redis: Redis, options: BodyFetcherOptions = {}) {
    this.#redis = redis;
    this.#options = options;
  }

  /** To how many gateways a connection stands. */
  get connections(): number {
    return this.#peers.entries().filter(([, { inlet }]) => inlet?.isOpen).length;
  }

  /** A call of that gateway has come: dials, so that the gateway need not give bodies to Redis. */
  meet(gatewayId: string): void {
    const peer = this.#peerOf(gatewayId);
    if (peer.inlet === null) void this.#dial(gatewayId, peer);
  }

  /** The body of a call, which begins to come. Never rejects. */
  async fetch(gatewayId: string, id: string, ticket: string): Promise<BodyStream> {
    const peer = this.#peerOf(gatewayId);
    if (!peer.inlet?.isOpen) await this.#dial(gatewayId, peer);
    return (peer.inlet?.isOpen ? peer.inlet.take(id, ticket) : null) ?? this.#ask(gatewayId, { id, ticket });
  }

  /** Ends the connections, and makes no others; bodies that are coming are lost. */
  close(): void {
    this.#isClosed = true;
    for (const [, { inlet }] of this.#peers.entries()) inlet?.close();
  }

  #peerOf(gatewayId: string): Peer {
    const known = this.#peers.get(gatewayId);
    if (known !== undefined) return known;
    const peer = { inlet: null, dialing: null, attempts: 0, nextDialMs: 0 };
    this.#peers.set(gatewayId, peer);
    return peer;
  }

  #dial(gatewayId: string, peer: Peer): Promise<void> {
    const mayDial = this.#options.isDirect !== false && !this.#isClosed && performance.now() >= peer.nextDialMs;
    if (peer.dialing === null && mayDial) {
      peer.dialing = this.#open(gatewayId, peer).finally(() => {
        peer.dialing = null;
      });
    }
    return peer.dialing ?? Promise.resolve();
  }

  async #open(gatewayId: string, peer: Peer): Promise<void> {
    const socket = await dial(this.#redis, gatewayId, randomBytes(SENDER_BYTES), "bodies");
    peer.nextDialMs = performance.now() + backoffMs(++peer.attempts, DIAL_AGAIN);
    if (socket === null || socket.destroyed) return;
    if (this.#isClosed) return void socket.destroy();
    peer.attempts = 0;
    const inlet = new BodyInlet(socket, (error) => {
      if (peer.inlet === inlet) peer.inlet = null;
      // A gateway that leaves or dies ends it as well, and is told of by others.
      if (error !== null && !this.#isClosed) this.#options.onBroken?.(gatewayId, error);
    });
    peer.inlet = inlet;
  }

  /** Has the gateway put a body into Redis, and waits for that. */
  #ask(gatewayId: string, question: BodyQuestion): BodyStream {
    let isWanted = true;
    const stream = new BodyStream({
      allow() {},
      reset() {
        isWanted = false;
      },
    });
    const body = this.#publishedBody(gatewayId, question, () => isWanted).catch(() => null);
    void body.then((bytes) => {
      if (bytes !== null) stream.push(bytes);
      stream.end(bytes === null ? "lost" : "end");
    });
    return stream;
  }

  /** null when nobody heard the question, the ticket is of no use, or the gateway is gone. */
  async #publishedBody(gatewayId: string, question: BodyQuestion, isWanted: () => boolean): Promise<Buffer | null> {
    const listeners = await this.#redis.publish(bodyChannelOf(gatewayId), JSON.stringify(question));
    if (listeners === 0) return null;
    for (let looks = 1; isWanted() && !this.#isClosed; looks++) {
      const body = await this.#redis.getdelBuffer(askedBodyKey(question.id));
      if (body !== null) return body.length > 0 ? body : null;
      const isInDoubt = looks % LOOKS_BEFORE_DOUBT === 0;
      if (isInDoubt && (await this.#redis.exists(announcementKey(gatewayId))) === 0) return null;
      await delay(backoffMs(looks, LOOK_AGAIN));
    }
    return null;
  }
}
