/**
 * A connection to a function's own server, over the loopback of its sandbox: one request at a time.
 */
import type { NetConnectOpts, Socket as NetSocket } from "node:net";
import { Socket } from "node:net";

// Captured before tenant code.
const NodeSocket = Socket;
const { connect } = Socket.prototype;

/** Whoever has the connection for one request. */
export interface ConnectionUser {
  /** Bytes of the server's. */
  data(bytes: Buffer): void;
  /** The server has ended its side, or the connection is gone for the reason. Told once. */
  closed(error: NodeJS.ErrnoException | null): void;
}

export class ServerConnection {
  readonly #socket: NetSocket;
  #user: ConnectionUser | null = null;
  #isOpen = true;

  constructor(target: NetConnectOpts) {
    this.#socket = new NodeSocket();
    this.#socket.on("data", (bytes) => {
      // A server that speaks unasked is not heard by a later request either.
      if (this.#user === null) this.destroy();
      else this.#user.data(bytes);
    });
    this.#socket.on("end", () => this.#close(null));
    this.#socket.on("error", (error) => this.#close(error));
    this.#socket.on("close", () => this.#close(null));
    Reflect.apply(connect, this.#socket, [{ ...target, noDelay: true }]);
  }

  /** Whether a request may be sent. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The port of this end, once connected; undefined on a unix socket. */
  get localPort(): number | undefined {
    return this.#socket.localPort;
  }

  /** Gives the connection to a request, or to none. */
  use(user: ConnectionUser | null): void {
    this.#user = user;
  }

  /** Sends bytes; resolves when there is room for more, or nobody who takes any. */
  write(bytes: Uint8Array): Promise<void> | null {
    if (!this.#isOpen || this.#socket.write(bytes)) return null;
    return new Promise((resolve) => {
      this.#socket.once("drain", resolve);
      this.#socket.once("close", () => resolve());
    });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#isOpen = false;
    this.#user = null;
    this.#socket.destroy();
  }

  #close(error: Error | null): void {
    const user = this.#user;
    this.destroy();
    user?.closed(error);
  }
}
