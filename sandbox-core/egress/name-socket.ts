/**
 * The socket that a sandbox asks for names at. Whoever asks without end is not read for a while:
 * one sandbox's questions would take the processor that everybody's connections need.
 */
import { createSocket, type Socket } from "node:dgram";
import { Rate } from "./shares.ts";

/** Questions of one sandbox: an answer is good for a minute, so that few are needed. */
const QUESTIONS_PER_SECOND = 200;
const QUESTIONS_AT_ONCE = 400;
/** So long the kernel drops what its queue has no room for, which costs the relay nothing. */
const PAUSE_MS = 100;

/** The handle below a socket, for which Node has no public name. */
interface Handle {
  recvStart(): void;
  recvStop(): void;
}

export class NameSocket {
  readonly #socket: Socket;
  readonly #rate = new Rate(QUESTIONS_PER_SECOND, QUESTIONS_AT_ONCE);
  #pause: NodeJS.Timeout | null = null;

  /**
   * @param fd a bound socket, which is this one's from now on
   * @param answer gives what a message is answered with, or null for nothing
   * @throws Error when it is no such socket
   */
  constructor(fd: number, answer: (message: Buffer) => Buffer | null) {
    const socket = createSocket("udp4");
    this.#socket = socket;
    socket.on("error", () => undefined);
    socket.on("message", (message, { port, address }) => {
      // Each is answered: nobody who asks a little too much waits for a resolver to ask again.
      if (!this.#rate.tryTake()) this.#stopReading();
      const bytes = answer(message);
      if (bytes !== null) socket.send(bytes, port, address, () => undefined);
    });
    socket.bind({ fd });
  }

  close(): void {
    if (this.#pause !== null) clearTimeout(this.#pause);
    this.#socket.close();
  }

  /** Takes effect before the next message. */
  #stopReading(): void {
    const handle = handleOf(this.#socket);
    if (handle === undefined || this.#pause !== null) return;
    handle.recvStop();
    this.#pause = setTimeout(() => {
      this.#pause = null;
      handle.recvStart();
    }, PAUSE_MS);
  }
}

function handleOf(socket: Socket): Handle | undefined {
  const key = Object.getOwnPropertySymbols(socket).find(({ description }) => description === "state symbol");
  return (socket as unknown as Record<symbol, { handle?: Handle }>)[key as symbol]?.handle;
}
