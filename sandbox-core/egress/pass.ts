/** Bytes from one socket to another and back, until both have ended or one breaks. */
import type { Socket } from "node:net";
import type { PassingSocket } from "./passing-socket.ts";
import { closeGently, reset } from "./reset.ts";

export interface Passing {
  /** From the sandbox. */
  near: PassingSocket;
  /** From the host. */
  far: PassingSocket;
  /** Told of bytes before they are passed on; false ends the connection. */
  onBytes: (direction: "up" | "down", bytes: number) => boolean;
}

/**
 * Passes bytes at the pace of whoever takes them; an end on one side is an end on the other, and
 * bytes may go on the other way. A side that breaks has the other one reset. Resolves with whether
 * it ended well, when both are closed. Never rejects.
 */
export async function pass({ near, far, onBytes }: Passing): Promise<boolean> {
  const break_ = () => {
    reset(near);
    reset(far);
    return false;
  };
  const closings = [near, far].map((socket) => closing(socket, break_));
  far.once("end", () => closeGently(near));
  pump(near, far, (bytes) => onBytes("up", bytes) || break_());
  pump(far, near, (bytes) => onBytes("down", bytes) || break_());
  const ends = await Promise.all(closings);
  return ends.every((endedWell) => endedWell);
}

function pump(from: PassingSocket, to: PassingSocket, onBytes: (bytes: number) => boolean): void {
  from.on("end", () => to.end());
  from.passTo(to, onBytes);
}

function closing(socket: Socket, onBroken: () => void): Promise<boolean> {
  return new Promise((resolve) => {
    if (socket.destroyed) {
      onBroken();
      resolve(false);
      return;
    }
    let isWhole = true;
    socket.on("error", () => {
      isWhole = false;
    });
    socket.once("close", () => {
      const endedWell = isWhole && socket.readableEnded && socket.writableFinished;
      if (!endedWell) onBroken();
      resolve(endedWell);
    });
  });
}
