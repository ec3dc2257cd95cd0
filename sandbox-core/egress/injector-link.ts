/**
 * The relay's connection to the injector, which has TLS of some connections end in it. The relay
 * dials the host itself, and gives the injector two ends: bytes go through the relay on both sides,
 * so that it counts them, and ends a connection, as any other.
 */
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import type { EgressRefusal } from "../contract/egress.ts";
import { LineReader } from "../protocol/control.ts";
import { RELAY_MESSAGE_BYTES } from "../protocol/egress.ts";
import type { CarryRequest, CarryWord } from "../protocol/injector.ts";
import { sys } from "../syscall/libc.ts";
import { PassingSocket } from "./passing-socket.ts";

/** Told of a request that was refused, with what to do. */
type OnRefused = (verdict: EgressRefusal, why: string) => void;

/** A connection that the injector has. */
export interface Carried {
  /** Our ends: what the sandbox says goes into `near`, what the host says into `far`. */
  near: PassingSocket;
  far: PassingSocket;
  /** Resolves with null when the host is who it should be, else with why it is not reached. */
  opened: Promise<EgressRefusal | null>;
  /** Resolves at its end: false when the injector died. */
  ended: Promise<boolean>;
  /** Closes both ends, whatever is under way. */
  drop(): void;
}

interface Waiting {
  opened: (refusal: EgressRefusal | null) => void;
  ended: (endedByItself: boolean) => void;
  onRefused: OnRefused;
}

/** Longest sentence about a request. */
const LONGEST_WHY = 500;

export class InjectorLink {
  readonly #lines: Socket;
  readonly #descriptors: number;
  readonly #waiting = new Map<number, Waiting>();
  #isClosed = false;

  /** @param fds of the lines and of the descriptors */
  constructor([lines, descriptors]: readonly [number, number]) {
    this.#lines = new Socket({ fd: lines, readable: true, writable: true });
    this.#descriptors = descriptors;
    const reader = new LineReader<CarryWord>();
    this.#lines.on("data", (chunk: Buffer) => {
      for (const word of reader.push(chunk)) this.#hear(word);
    });
    this.#lines.on("error", () => this.#lines.destroy());
    this.#lines.on("close", () => this.#close());
  }

  /** Gives the injector a connection; or says why that cannot be. */
  carry(request: CarryRequest, onRefused: OnRefused): Carried | EgressRefusal {
    if (this.#isClosed) return "relay_died";
    const [near, far] = [sys.socketpair(), sys.socketpair()];
    const number = Buffer.alloc(RELAY_MESSAGE_BYTES);
    number.writeBigUInt64LE(BigInt(request.id));
    try {
      sys.sendDescriptors(this.#descriptors, number, [near[1], far[1]]);
    } catch {
      // It has not taken as many as the kernel keeps for it, or is gone.
      for (const fd of [...near, ...far]) closeSync(fd);
      return "relay_full";
    }
    for (const fd of [near[1], far[1]]) closeSync(fd);
    this.#lines.write(`${JSON.stringify(request)}\n`);
    return this.#follow(request.id, endOf(near[0]), endOf(far[0]), onRefused);
  }

  #follow(id: number, near: PassingSocket, far: PassingSocket, onRefused: OnRefused): Carried {
    const opened = Promise.withResolvers<EgressRefusal | null>();
    const ended = Promise.withResolvers<boolean>();
    this.#waiting.set(id, { opened: opened.resolve, ended: ended.resolve, onRefused });
    const drop = () => {
      near.destroy();
      far.destroy();
    };
    return { near, far, opened: opened.promise, ended: ended.promise, drop };
  }

  #hear(word: CarryWord): void {
    const waiting = this.#waiting.get(word.id);
    if (waiting === undefined) return;
    if (word.is === "opened") waiting.opened(null);
    else if (word.is === "failed") waiting.opened(word.verdict);
    else if (word.is === "refused") waiting.onRefused(word.verdict, word.why.slice(0, LONGEST_WHY));
    else this.#end(word.id, waiting, true);
  }

  #end(id: number, waiting: Waiting, endedByItself: boolean): void {
    waiting.opened("relay_died");
    waiting.ended(endedByItself);
    this.#waiting.delete(id);
  }

  #close(): void {
    this.#isClosed = true;
    closeSync(this.#descriptors);
    for (const [id, waiting] of this.#waiting) this.#end(id, waiting, false);
  }
}

function endOf(fd: number): PassingSocket {
  return PassingSocket.at(fd).on("error", () => undefined);
}
