/** The runtime's end of the wire. */
import { Socket } from "node:net";
import { decodeWorkerMessage, FrameReader, type WorkerMessage } from "../protocol/frames.ts";

// Captured before tenant code.
const { setInterval, clearInterval } = globalThis;

/** The longest time that a timer of Node can wait. */
const LONGEST_INTERVAL_MS = 2 ** 31 - 1;

/** Where frames go. */
export interface Outlet {
  /**
   * Hands over frames, in whatever buffers they are. They are written at once if the worker keeps
   * up, and kept if not.
   */
  send(...frames: readonly Uint8Array[]): void;
  /** false: many bytes are being kept; whoever has more to send awaits `drained` first. */
  readonly writable: boolean;
  /** Resolves when `writable` is true. */
  drained(): Promise<void>;
  /**
   * Stops and starts the arrival of messages: this is how a slow reader of a request's body slows
   * its sender.
   */
  pause(): void;
  resume(): void;
}

/** A wire over a stream socket. Before `start` nothing may be sent. */
export class SocketWire implements Outlet {
  #socket!: Socket;
  #drained: Promise<void> | null = null;
  #keptAlive: NodeJS.Timeout | undefined;

  /**
   * Starts to read from an open socket. `onClosed` gets the error that ended the wire, a
   * ProtocolError or one of the socket, or null.
   */
  start(fd: number, onMessage: (message: WorkerMessage) => void, onClosed: (error: Error | null) => void): void {
    this.#socket = new Socket({ fd, readable: true, writable: true });
    const reader = new FrameReader(decodeWorkerMessage, onMessage);
    let failed: Error | null = null;
    this.#socket.on("data", (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch (error) {
        this.#socket.destroy(error as Error);
      }
    });
    this.#socket.on("error", (error) => {
      failed = error;
    });
    this.#socket.on("close", () => onClosed(failed));
  }

  send(...frames: readonly Uint8Array[]): void {
    if (frames.length > 1) this.#socket.cork();
    for (const frame of frames) this.#socket.write(frame);
    if (frames.length > 1) this.#socket.uncork();
  }

  get writable(): boolean {
    return !this.#socket.writableNeedDrain;
  }

  drained(): Promise<void> {
    if (this.writable || this.#socket.destroyed) return Promise.resolve();
    this.#drained ??= new Promise((resolve) => {
      const done = () => {
        this.#socket.off("drain", done);
        this.#socket.off("close", done);
        this.#drained = null;
        resolve();
      };
      this.#socket.on("drain", done);
      this.#socket.on("close", done);
    });
    return this.#drained;
  }

  /** Calls back once everything that was sent has left this process: at once if it has already. */
  flush(done: () => void): void {
    if (this.#socket.writableLength === 0 || this.#socket.destroyed) done();
    else this.#socket.write(NOTHING, () => done());
  }

  pause(): void {
    this.#socket.pause();
    // A wire that is paused does not keep a process alive, and the process must end by nothing but
    // its exit.
    this.#keptAlive ??= setInterval(() => {}, LONGEST_INTERVAL_MS);
  }

  resume(): void {
    this.#socket.resume();
    clearInterval(this.#keptAlive);
    this.#keptAlive = undefined;
  }
}

const NOTHING = Buffer.alloc(0);
