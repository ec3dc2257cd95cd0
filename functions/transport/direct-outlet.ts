/**
 * A worker's end of its direct connection to one gateway. Messages are kept until the gateway has
 * acknowledged them, so that what a broken connection lost can go another way.
 */
import type { Socket } from "node:net";
import { KIB, MIB } from "../../infra/std/bytes.ts";
import { ByteQueue } from "./byte-queue.ts";
import { directForm, LENGTH_BYTES, type Message, NUMBER_BYTES } from "./reply-frames.ts";
import { Window } from "./window.ts";

/** A gateway that acknowledges nothing while it is looked at so often is not waited for. */
const LOOK_MS = 500;
const MOST_SILENT_LOOKS = 4;
/** Most bytes that one gateway may leave unacknowledged. */
const MAX_UNACKNOWLEDGED_BYTES = 64 * MIB;
/** A message up to here is copied together: a piece costs more than its copy. */
const COPIED_BYTES = 16 * KIB;
/** Asks for an acknowledgement at once. */
const QUESTION = Buffer.alloc(LENGTH_BYTES);

export class DirectOutlet {
  /** How far this worker is ahead of the gateway on this connection. */
  readonly window = new Window(async () => this.#acknowledgedBytes);
  readonly #socket: Socket;
  readonly #onEnd: (unacknowledged: Message[]) => void;
  readonly #acks = new ByteQueue();
  #unacknowledged: Message[] = [];
  #unacknowledgedBytes = 0;
  #acknowledgedBytes = 0;
  #silentLooks = 0;
  readonly #looking: NodeJS.Timeout;
  /** Whoever waits until nothing is unacknowledged. */
  #settled: PromiseWithResolvers<void> | null = null;
  #hasEnded = false;

  /**
   * @param socket has been welcomed.
   * @param onEnd told once, at the connection's end, what was sent and not acknowledged, in order.
   */
  constructor(socket: Socket, onEnd: (unacknowledged: Message[]) => void) {
    this.#socket = socket;
    this.#onEnd = onEnd;
    socket.on("data", (bytes: Buffer) => this.#hear(bytes));
    socket.once("close", () => this.end());
    socket.unref();
    this.#looking = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  send(message: Message): void {
    this.#unacknowledged.push(message);
    this.#unacknowledgedBytes += message.bytes;
    this.window.sent(message.bytes);
    if (this.#unacknowledgedBytes > MAX_UNACKNOWLEDGED_BYTES) this.end();
    else this.#write(message.bytes, directForm(message));
  }

  /** Resolves when all that was sent is acknowledged, or the connection has ended. */
  async settled(): Promise<void> {
    if (this.#hasEnded || this.#unacknowledged.length === 0) return;
    this.#settled ??= Promise.withResolvers();
    this.#socket.write(QUESTION);
    await this.#settled.promise;
  }

  /** Ends the connection. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearInterval(this.#looking);
    this.#socket.destroy();
    this.#onEnd(this.#unacknowledged);
    this.#unacknowledged = [];
    // Whoever waits for room looks for it on the way that is taken now.
    this.window.reset();
    this.#settled?.resolve();
  }

  #write(bytes: number, parts: Buffer[]): void {
    if (bytes <= COPIED_BYTES) {
      this.#socket.write(Buffer.concat(parts));
      return;
    }
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
  }

  #hear(bytes: Buffer): void {
    this.#acks.add(bytes);
    const whole = Math.floor(this.#acks.length / NUMBER_BYTES);
    if (whole === 0) return;
    // Each says all that those before it say.
    const number = this.#acks.take(whole * NUMBER_BYTES).readUIntLE((whole - 1) * NUMBER_BYTES, NUMBER_BYTES);
    const left = this.#unacknowledged.findIndex((message) => message.number > number);
    const taken = this.#unacknowledged.splice(0, left === -1 ? this.#unacknowledged.length : left);
    const takenBytes = taken.reduce((sum, message) => sum + message.bytes, 0);
    if (taken.length > 0) this.#silentLooks = 0;
    this.#unacknowledgedBytes -= takenBytes;
    this.#acknowledgedBytes += takenBytes;
    this.window.look();
    if (this.#unacknowledged.length > 0) return;
    this.#settled?.resolve();
    this.#settled = null;
  }

  /** By looks and not by the clock: a worker that was stopped has heard nothing either. */
  #look(): void {
    this.#silentLooks = this.#unacknowledged.length === 0 ? 0 : this.#silentLooks + 1;
    if (this.#silentLooks > MOST_SILENT_LOOKS) this.end();
  }
}
