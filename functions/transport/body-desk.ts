/**
 * A gateway's desk for bodies: a call that is queued has a ticket in place of its body, and the
 * worker that runs the call gets the body for it while it arrives. A ticket is random, for one
 * call, and is of use once. Workers that cannot dial ask through Redis, which then carries the
 * body.
 */
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import type { Redis } from "ioredis";
import { MIB } from "../../infra/std/bytes.ts";
import { TICKET_BYTES } from "./body-frames.ts";
import { BodyOutlet } from "./body-outlet.ts";
import type { BodySource } from "./body-source.ts";
import { MAX_PEERS } from "./reply-frames.ts";

/** Largest body that goes through Redis. */
export const MAX_PUBLISHED_BODY_BYTES = 64 * MIB;
/** How long a body that was asked for through Redis stays there. */
const ASKED_TTL_MS = 60_000;
const NO_BODY = Buffer.alloc(0);

/** The channel on which workers ask a gateway for bodies. */
export const bodyChannelOf = (gatewayId: string): string => `sp:bodies:${gatewayId}`;

/** A worker's question. */
export interface BodyQuestion {
  ticket: string;
  /** Of the invocation. */
  id: string;
}

/** Where a body is put that was asked for in that way. */
export const askedBodyKey = (id: string): string => `sp:body:${id}`;

export class BodyDesk {
  readonly #redis: Redis;
  /** By ticket. */
  readonly #sources = new Map<string, { id: string; source: BodySource }>();
  /** Tickets by invocation. */
  readonly #tickets = new Map<string, string>();
  readonly #outlets = new Map<string, BodyOutlet>();
  readonly #onTrouble: (message: string, error?: unknown) => void;

  constructor(redis: Redis, onTrouble: (message: string, error?: unknown) => void = () => {}) {
    this.#redis = redis;
    this.#onTrouble = onTrouble;
  }

  /** How many workers have a connection for bodies. */
  get connections(): number {
    return this.#outlets.size;
  }

  /** How many tickets nobody has used. */
  get tickets(): number {
    return this.#sources.size;
  }

  /** A ticket for the body of a call. */
  issue(id: string, source: BodySource): string {
    const ticket = randomBytes(TICKET_BYTES).toString("base64url");
    this.#sources.set(ticket, { id, source });
    this.#tickets.set(id, ticket);
    return ticket;
  }

  /** The ticket of a call that is over is of no use any more. */
  cancel(id: string): void {
    const ticket = this.#tickets.get(id);
    if (ticket !== undefined) this.#redeem(ticket, id)?.drop();
  }

  /** A worker has dialled for bodies. A second connection of one name takes the first's place. */
  connect(name: string, socket: Socket): void {
    this.#outlets.get(name)?.close();
    if (this.#outlets.size >= MAX_PEERS) return void socket.destroy();
    const outlet = new BodyOutlet({
      socket,
      redeem: (ticket, id) => this.#redeem(ticket, id),
      onEnd: (error) => {
        if (this.#outlets.get(name) === outlet) this.#outlets.delete(name);
        if (error !== null) this.#onTrouble("a worker asked for a body in words that cannot be understood", error);
      },
    });
    this.#outlets.set(name, outlet);
  }

  /**
   * A worker that cannot dial asks. Never rejects. A ticket of no use is answered with a body of
   * nothing; a client that left is not, as its call is cancelled.
   */
  async hear(message: string): Promise<void> {
    try {
      const { ticket, id } = JSON.parse(message) as BodyQuestion;
      const source = this.#redeem(ticket, id);
      const body = source === null ? NO_BODY : await source.collect(MAX_PUBLISHED_BODY_BYTES);
      if (body !== null) await this.#redis.set(askedBodyKey(id), body, "PX", ASKED_TTL_MS);
    } catch (error) {
      this.#onTrouble("a body could not be put into Redis for a worker", error);
    }
  }

  close(): void {
    for (const outlet of this.#outlets.values()) outlet.close();
  }

  #redeem(ticket: string, id: string): BodySource | null {
    const found = this.#sources.get(ticket);
    if (found === undefined || found.id !== id) return null;
    this.#sources.delete(ticket);
    this.#tickets.delete(id);
    return found.source;
  }
}
