/**
 * One worker's replies to one gateway: what goes together, in which order, and which way.
 *
 * Messages are numbered. They are published until a direct connection to the gateway stands, and
 * again when it has broken: then those that it may have lost go first, under the numbers that they
 * had. So the gateway can put both ways together.
 */
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { MIB } from "../../infra/std/bytes.ts";
import { type Backoff, backoffMs } from "../../infra/std/time.ts";
import type { Reply } from "../model/invocation.ts";
import { DirectOutlet } from "./direct-outlet.ts";
import { frameBytes, frameOf, INLINE_REPLY_BYTES, type Message, SENDER_BYTES } from "./reply-frames.ts";
import { Window } from "./window.ts";

/** A message that is longer goes at once; a long reply goes alone over a direct connection. */
const FULL_BYTES = MIB;
const DIAL_AGAIN: Backoff = { firstMs: 1_000, longestMs: 30_000 };
/** A connection that stood for so long was no failure. */
const STOOD_MS = 30_000;

export interface RouteOptions {
  gatewayId: string;
  /** @returns a connection to the gateway; null when there is none to be had. Never rejects. */
  dial: (sender: Buffer) => Promise<Socket | null>;
  /** Publishes a message; says whether it could take it. */
  publish: (sender: Buffer, message: Message) => boolean;
  /** Notes that a message goes no way at all. */
  drop: (message: Message) => void;
  /** How many bytes of what was published the gateway has taken. Never rejects. */
  askTaken: (sender: string) => Promise<number>;
  /** Told when a connection has broken. */
  onBroken: () => void;
}

export class ReplyRoute {
  readonly #options: RouteOptions;
  /** A name of its own for each route: numbers begin with it. */
  readonly #sender = randomBytes(SENDER_BYTES);
  readonly #published: Window;
  #batch: Omit<Message, "number"> = emptyBatch();
  #nextNumber = 1;
  #outlet: DirectOutlet | null = null;
  #isDialing = false;
  #attempts = 0;
  #nextDialMs = 0;
  #isClosed = false;

  constructor(options: RouteOptions) {
    this.#options = options;
    this.#published = new Window(() => options.askTaken(this.#sender.toString("hex")));
  }

  /** Whether a direct connection stands. */
  get isDirect(): boolean {
    return this.#outlet !== null;
  }

  /** Adds a reply to those that go together next. */
  add(reply: Reply): void {
    const frame = frameOf(reply);
    // Published, its body is beside the message, and keeps nothing waiting.
    const isLong = frame.bodyBytes > INLINE_REPLY_BYTES && this.isDirect;
    if (isLong) this.flush();
    this.#batch.frames.push(frame);
    this.#batch.bytes += frameBytes(frame);
    if (reply.kind === "chunk" || (reply.kind === "head" && reply.streaming)) this.#batch.streams.add(reply.id);
    if (isLong || this.#batch.bytes > FULL_BYTES) this.flush();
  }

  /** Sends what was added. */
  flush(): void {
    if (this.#batch.frames.length === 0) return;
    const message = { ...this.#batch, number: this.#nextNumber };
    this.#batch = emptyBatch();
    if (this.#outlet !== null) {
      this.#nextNumber++;
      this.#outlet.send(message);
      return;
    }
    if (this.#publish(message)) this.#nextNumber++;
    if (!this.#isDialing && performance.now() >= this.#nextDialMs) void this.#dial();
  }

  /** null when the gateway keeps up; else what resolves when it does. */
  untilTaken(): Promise<void> | null {
    const window = this.#window;
    const again = () => (window === this.#window ? undefined : (this.untilTaken() ?? undefined));
    return window.untilTaken()?.then(again) ?? null;
  }

  /** Resolves when what was sent has been taken, or is published. */
  async settled(): Promise<void> {
    await this.#outlet?.settled();
  }

  /** Ends the connection, and makes no other. */
  close(): void {
    this.#isClosed = true;
    this.#outlet?.end();
  }

  get #window(): Window {
    return this.#outlet?.window ?? this.#published;
  }

  #publish(message: Message): boolean {
    if (!this.#options.publish(this.#sender, message)) return false;
    this.#published.sent(message.bytes);
    return true;
  }

  /** None goes when one before it could not: a shorter one might be the end of the same stream. */
  #publishAll(messages: Message[]): void {
    const refused = messages.findIndex((message) => !this.#publish(message));
    if (refused !== -1) for (const message of messages.slice(refused + 1)) this.#options.drop(message);
  }

  async #dial(): Promise<void> {
    if (this.#isClosed) return;
    this.#isDialing = true;
    const socket = await this.#options.dial(this.#sender);
    this.#isDialing = false;
    this.#nextDialMs = performance.now() + backoffMs(++this.#attempts, DIAL_AGAIN);
    if (socket === null) return;
    if (this.#isClosed || socket.destroyed) return void socket.destroy();
    const sinceMs = performance.now();
    this.#outlet = new DirectOutlet(socket, (unacknowledged) => {
      this.#outlet = null;
      this.#publishAll(unacknowledged);
      if (this.#isClosed) return;
      if (performance.now() - sinceMs > STOOD_MS) this.#attempts = 0;
      this.#nextDialMs = performance.now() + backoffMs(++this.#attempts, DIAL_AGAIN);
      this.#options.onBroken();
    });
  }
}

function emptyBatch(): Omit<Message, "number"> {
  return { frames: [], streams: new Set(), bytes: 0 };
}
