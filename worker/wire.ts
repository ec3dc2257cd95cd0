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
