/** Connections to hosts, by address. */
import { connect, type Socket } from "node:net";

const ATTEMPT_MS = 4_000;
const KEEP_ALIVE_MS = 60_000;

/**
 * A connection to the first of the addresses that accepts one; null when none does in time, or
 * `signal` says that nobody wants it any more. Never rejects.
 */
export async function dial(addresses: readonly string[], port: number, signal: AbortSignal): Promise<Socket | null> {
  for (const address of addresses) {
    if (signal.aborted) return null;
    const socket = await attempt(address, port, signal);
    if (socket) return socket;
  }
  return null;
}

function attempt(host: string, port: number, signal: AbortSignal): Promise<Socket | null> {
  const { promise, resolve } = Promise.withResolvers<Socket | null>();
  const socket = connect({
    host,
    port,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
  });
  const giveUp = () => {
    socket.destroy();
    resolve(null);
  };
  const timer = setTimeout(giveUp, ATTEMPT_MS);
  signal.addEventListener("abort", giveUp, { once: true });
  const settle = () => {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
  };
  socket.once("error", () => {
    settle();
    giveUp();
  });
  socket.once("connect", () => {
    settle();
    socket.removeAllListeners("error");
    socket.pause();
    resolve(socket);
  });
  return promise;
}
