/**
 * A service's words to systemd: that it is ready, and that it lives. sd_notify(3) describes the
 * protocol.
 */
import type { Environment } from "./environment.ts";

/** Says once more that the service is ready and lives. Never throws. */
export type Notify = () => void;

/**
 * A way to tell systemd, or null where systemd did not ask for it. Node has no datagram sockets of
 * the unix family, so the one place that calls the C library makes it; other processes never load
 * that.
 * @throws SyscallError when nothing listens at NOTIFY_SOCKET
 */
export async function connectSystemd(env: Environment = process.env): Promise<Notify | null> {
  const path = env.NOTIFY_SOCKET;
  if (!path) return null;
  const { connectDatagram } = await import("../sandbox-core/syscall/datagram.ts");
  const send = connectDatagram(path.replace(/^@/, "\0"));
  // A datagram that finds the receiver's queue full is lost, so each says both; being ready twice
  // means nothing more.
  return () => send("READY=1\nWATCHDOG=1");
}
