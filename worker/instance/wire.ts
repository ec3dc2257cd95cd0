/** Writing to a sandbox. */
import type { Duplex } from "node:stream";

/** Writes frames, and in the same system call what else comes in this turn. Waits for nothing. */
export function writeTogether(wire: Duplex, frames: readonly Uint8Array[]): void {
  if (wire.writableCorked === 0) {
    wire.cork();
    process.nextTick(() => wire.uncork());
  }
  for (const frame of frames) wire.write(frame);
}

/** How a connection to a sandbox ends. */
export class WireEnd {
  /** Resolves when nothing more can come. */
  readonly closed: Promise<true>;
  /**
   * Whether the sandbox ended without having read all that was written. The kernel tells it: a unix socket that is closed
   * with unread bytes resets its peer, and one that is closed takes no more.
   */
  leftUnread = false;

  constructor(wire: Duplex) {
    // "close" follows an error.
    wire.on("error", (error: NodeJS.ErrnoException) => {
      this.leftUnread ||= error.code === "ECONNRESET" || error.code === "EPIPE";
    });
    this.closed = new Promise((resolve) => wire.once("close", () => resolve(true)));
  }
}
