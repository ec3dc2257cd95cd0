/** How a connection of a sandbox's ends: at once, or when all was sent. */
import type { Socket } from "node:net";
import { SO, SOL } from "../abi/linux.ts";
import { sys } from "../syscall/libc.ts";

/** struct linger, off (socket(7)). */
const OFF = Buffer.alloc(8);

/**
 * Resets a connection, so that the other end meets ECONNRESET; one that has sent its end already is
 * closed. Node waits for what was written to be sent first, unless it is told to destroy the socket
 * as well: who does not read would keep it open. It cannot reset what is shutting down (libuv's
 * uv_tcp_close_reset), and would not close it either.
 */
export function reset(socket: Socket): void {
  // One to the injector has no other end that could meet a reset.
  if (!socket.writableEnded && isOfTcp(socket)) socket.resetAndDestroy();
  socket.destroy();
}

/**
 * Has the kernel send what was written after the socket is closed, where a listener's connections
 * are reset by a close (fork/egress-sockets.ts): for one that ends well.
 */
export function closeGently(socket: Socket): void {
  const fd = handleOf(socket)?.fd ?? -1;
  if (fd >= 0) sys.setsockopt(fd, SOL.SOCKET, SO.LINGER, OFF, OFF.length);
}

/** Else it is a unix socket. */
export function isOfTcp(socket: Socket): boolean {
  return handleOf(socket)?.reset !== undefined;
}

/** Node has no public name for it. */
function handleOf(socket: Socket): { fd: number; reset?: unknown } | null {
  return (socket as unknown as { _handle: { fd: number; reset?: unknown } | null })._handle;
}
