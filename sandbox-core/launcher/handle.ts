/** The descriptor under a socket or a server of Node's. */
import type { Server, Socket } from "node:net";

/** Node has no public name for it; -1 is one that is closed, which the kernel refuses. */
export function descriptorOf(socket: Socket | Server): number {
  return (socket as unknown as { _handle: { fd: number } | null })._handle?.fd ?? -1;
}
