/** The worker's end of a connection to a sandbox. */
import type { Duplex } from "node:stream";
import { decodeSandboxMessage, FrameReader, type SandboxMessage } from "../../sandbox-core/protocol/frames.ts";
import { Intake } from "./intake.ts";

export interface WireHost {
  /** Takes what the sandbox says. Whatever is thrown is a violation. */
  hear(message: SandboxMessage): void;
  /** The sandbox broke the protocol. */
  onViolation(message: string): void;
  /** The connection is closed. */
  onClose(): void;
}

export class WireEnd {
  readonly #wire: Duplex;
  /** Paces the reading. */
  readonly intake: Intake;
  /** Resolves when nothing more can come. */
  readonly closed: Promise<true>;
  #leftUnread = false;
  #isDeaf = false;

  constructor(wire: Duplex, host: WireHost) {
    this.#wire = wire;
    this.intake = new Intake(wire);
    this.#listen(host);
    // "close" follows an error.
    wire.on("error", (error: NodeJS.ErrnoException) => {
      this.#leftUnread ||= error.code === "ECONNRESET" || error.code === "EPIPE";
    });
    this.closed = new Promise((resolve) => wire.once("close", () => resolve(true)));
    wire.on("close", () => host.onClose());
  }

  #listen(host: WireHost): void {
    let messages = 0;
    const reader = new FrameReader(decodeSandboxMessage, (message) => {
      messages += 1;
      if (!this.#isDeaf) host.hear(message);
    });
    this.#wire.on("data", (chunk: Buffer) => {
      if (this.#isDeaf) return;
      messages = 0;
      try {
        reader.push(chunk);
        this.intake.took(messages);
      } catch (error) {
        host.onViolation(error instanceof Error ? error.message : String(error));
      }
    });
  }

  /** Hears nothing more of what comes, and sends nothing more. */
  ignore(): void {
    this.#isDeaf = true;
  }

  /** Whether something can still come and go. */
  get isConnected(): boolean {
    return !this.#wire.readableEnded && !this.#wire.destroyed;
  }

  /**
   * Whether the sandbox ended without having read all that was written. The kernel tells it: a unix
   * socket that is closed with unread bytes resets its peer, and one that is closed takes no more.
   */
  get leftUnread(): boolean {
    return this.#leftUnread;
  }

  /**
   * Resolves when the sandbox has read nearly all that was written, or there is none any more; null
   * when that is so.
   */
  drained(): Promise<void> | null {
    const wire = this.#wire;
    if (!wire.writableNeedDrain || wire.destroyed || this.#isDeaf) return null;
    return new Promise((resolve) => {
      const done = () => {
        wire.off("drain", done);
        wire.off("close", done);
        resolve();
      };
      wire.on("drain", done);
      wire.on("close", done);
    });
  }

  /**
   * Writes frames, and in the same system call what else comes in this turn of the event loop.
   * Waits for nothing.
   */
  send(frames: readonly Uint8Array[]): void {
    if (this.#isDeaf) return;
    const wire = this.#wire;
    if (wire.writableCorked === 0) {
      wire.cork();
      process.nextTick(() => wire.uncork());
    }
    for (const frame of frames) wire.write(frame);
  }
}
