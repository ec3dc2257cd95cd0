/**
 * Replies on their way from workers to the gateway that asked: over a direct connection that the
 * worker dials, and by Redis pub/sub, one channel for each gateway, until that stands and when it
 * has broken.
 *
 * On a direct connection a gateway acknowledges what it took. Of what is published it says now and
 * then how many bytes it has taken of a sender, under a key that lives for a minute. A sender with
 * much data asks for `untilTaken` before: else one function's streams would fill Redis, which hangs
 * up on a gateway that is too far behind, and then all replies are lost, whoever's they are.
 */
import type { Redis } from "ioredis";
import { MIB } from "../../infra/std/bytes.ts";
import { LruMap } from "../../infra/std/lru.ts";
import type { Reply } from "../model/invocation.ts";
import { dial } from "./direct-dialer.ts";
import { Pace } from "./pace.ts";
import { channelOf, MAX_PEERS, type Message, publishedForm, takenKey } from "./reply-frames.ts";
import { ReplyRoute } from "./reply-route.ts";

/** How long a large body waits for its gateway. */
const BODY_TTL_MS = 60_000;
/**
 * Most bytes that wait to be published while Redis is away; replies beyond it are dropped, their
 * gateways gave up.
 */
const MAX_PENDING_BYTES = 64 * MIB;

export interface ReplySenderOptions {
  /** Told of replies that could not be sent; their gateway answers for itself. */
  onError?: (error: Error) => void;
  /** Told of gateways whose direct connection broke; what it lost is published. */
  onBroken?: (gatewayId: string) => void;
  /** How many calls this worker runs now: see `Pace`. */
  inCourse?: () => number;
  /** Whether direct connections are dialled. */
  isDirect?: boolean;
}

/** A worker's end. */
export class ReplySender {
  readonly #redis: Redis;
  readonly #options: ReplySenderOptions;
  /** By gateway. */
  readonly #routes = new LruMap<string, ReplyRoute>(MAX_PEERS);
  /** Routes to which something was added. */
  #added = new Set<ReplyRoute>();
  /** Streams of which a part was dropped: what follows may not look as if nothing were missing. */
  readonly #torn = new Set<string>();
  #pendingBytes = 0;
  readonly #pace: Pace;
  #waiting = 0;
  #sent: Promise<unknown> = Promise.resolve();

  constructor(redis: Redis, options: ReplySenderOptions = {}) {
    this.#redis = redis;
    this.#options = options;
    this.#pace = new Pace(options.inCourse ?? (() => 0), () => this.#flushAdded());
  }

  /** To how many gateways a direct connection stands. */
  get directConnections(): number {
    return this.#routes.entries().filter(([, route]) => route.isDirect).length;
  }

  /**
   * null when a gateway keeps up with what this worker sends; else what resolves when it does, and
   * then one may send. Short replies need not ask.
   */
  untilTaken(gatewayId: string): Promise<void> | null {
    return this.#routeTo(gatewayId).untilTaken();
  }

  /** Sends a reply with others of the same moment. Replies to one gateway arrive in order. */
  send(gatewayId: string, reply: Reply): void {
    if (this.#torn.has(reply.id)) {
      if (reply.kind === "end") this.#torn.delete(reply.id);
      return;
    }
    const route = this.#routeTo(gatewayId);
    this.#added.add(route);
    route.add(reply);
    // A stream's pieces come one after the other: none of them waits for another call's.
    if (reply.kind === "head" && !reply.streaming) this.#pace.added(++this.#waiting);
    else this.#pace.soon();
  }

  /**
   * Resolves when everything that was sent before has been taken, has reached Redis or was given
   * up; never rejects.
   */
  async flush(): Promise<void> {
    this.#pace.now();
    await Promise.all(this.#routes.entries().map(([, route]) => route.settled()));
    await this.#sent;
  }

  /** Flushes, and ends the direct connections; what is sent from then on is published. */
  async close(): Promise<void> {
    await this.flush();
    for (const [, route] of this.#routes.entries()) route.close();
    await this.#sent;
  }

  #flushAdded(): void {
    this.#waiting = 0;
    for (const route of this.#added) route.flush();
    // And not cleared: its old table would lead to the next, and with it to all that follow.
    this.#added = new Set();
  }

  #routeTo(gatewayId: string): ReplyRoute {
    const known = this.#routes.get(gatewayId);
    if (known !== undefined) return known;
    const { isDirect = true } = this.#options;
    const route = new ReplyRoute({
      gatewayId,
      dial: async (sender) => (isDirect ? dial(this.#redis, gatewayId, sender) : null),
      publish: (sender, message) => this.#publish(gatewayId, sender, message),
      drop: (message) => this.#drop(gatewayId, message),
      askTaken: async (sender) => Number(await this.#redis.get(takenKey(sender, gatewayId)).catch(() => 0)),
      onBroken: () => this.#options.onBroken?.(gatewayId),
    });
    this.#routes.set(gatewayId, route);
    return route;
  }

  #publish(gatewayId: string, sender: Buffer, message: Message): boolean {
    const { bytes } = message;
    if (this.#pendingBytes + bytes > MAX_PENDING_BYTES) {
      this.#drop(gatewayId, message);
      return false;
    }
    this.#pendingBytes += bytes;
    const form = publishedForm(sender, message);
    const bodies = form.bodies.map(([key, body]) => this.#redis.set(key, body, "PX", BODY_TTL_MS));
    const done = Promise.all([...bodies, this.#redis.publish(channelOf(gatewayId), form.bytes)])
      .catch((error: Error) => this.#onError(error))
      .finally(() => {
        this.#pendingBytes -= bytes;
      });
    // Nothing is the result: what `all` gives would hold every result before it, for ever.
    this.#sent = Promise.all([this.#sent, done]).then(() => undefined);
    return true;
  }

  #drop(gatewayId: string, { bytes, streams }: Message): void {
    for (const id of streams) this.#torn.add(id);
    this.#onError(new Error(`Redis takes no replies: ${bytes} bytes for the gateway ${gatewayId} were dropped.`));
  }

  #onError(error: Error): void {
    this.#options.onError?.(error);
  }
}
