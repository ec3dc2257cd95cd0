/**
 * The worker's end of what a fork of a template has for its own: a wire and an output, made for it
 * alone.
 */
import { Socket } from "node:net";
import { sys } from "../syscall/libc.ts";
import { refuseDescriptors } from "../syscall/steps.ts";
import { descriptorOf } from "./handle.ts";

/** The worker's ends. */
export interface ForkSockets {
  wire: Socket;
  stdio: Socket;
}

/**
 * Makes both pairs, and sends the fork's ends over the template's wire, with these bytes and more
 * descriptors.
 * @throws SyscallError, and then nothing is left
 */
export function sendForkSockets(template: Socket, bytes: Buffer, more: readonly number[] = []): ForkSockets {
  const pairs: [ours: number, theirs: number][] = [];
  try {
    for (let made = 0; made < 2; made++) pairs.push(sys.socketpair());
    // The fork has its ends a moment later.
    for (const [ours] of pairs) refuseDescriptors(ours);
    sys.sendDescriptors(descriptorOf(template), bytes, [...pairs.map(([, theirs]) => theirs), ...more]);
  } catch (error) {
    for (const fd of pairs.flat()) sys.close(fd);
    throw error;
  }
  for (const [, theirs] of pairs) sys.close(theirs);
  const [wire, stdio] = pairs.map(([fd]) => socketOf(fd)) as [Socket, Socket];
  return { wire, stdio };
}

function socketOf(fd: number): Socket {
  const socket = new Socket({ fd, readable: true, writable: true });
  // A reader may not be there yet, and a connection that breaks is no mistake of ours.
  socket.on("error", () => socket.destroy());
  return socket;
}
