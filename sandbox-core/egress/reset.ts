/** Ends a connection at once. */
import type { Socket } from "node:net";

/**
 * Resets a connection, so that the other end meets ECONNRESET; one that has sent its end already is
 * closed. Node waits for what was written to be sent first, unless it is told to destroy the socket
 * as well: who does not read would keep it open. It cannot reset what is shutting down (libuv's
 * uv_tcp_close_reset), and would not close it either.
 */
export function reset(socket: Socket): void {
  if (!socket.writableEnded) socket.resetAndDestroy();
  socket.destroy();
}
