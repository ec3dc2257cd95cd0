/**
 * Notes outgoing connections that fail because the sandbox's network ends there, also when the
 * function keeps the error to itself: its author learns from the log what to declare. Help, and no
 * wall: a function that takes this away lacks the words alone.
 */
import { subscribe } from "node:diagnostics_channel";
import { type EventEmitter, errorMonitor } from "node:events";

/** Published by each socket that connects, those of TLS and of `fetch` included. */
const CHANNEL = "net.client.socket";
/** Codes of a network that ends here: no such name, no route, nobody at the port. */
const CODES: ReadonlySet<unknown> = new Set(["ENOTFOUND", "EAI_AGAIN", "ENETUNREACH", "ECONNREFUSED"]);
const LOOPBACK = /^(?:127\.|::1$|::ffff:127\.|localhost$)/;

type Failed = NodeJS.ErrnoException & { address?: string; hostname?: string; errors?: unknown };

/**
 * Calls `note` with the message of each such failure, before the function hears of it. Costs
 * nothing until something connects.
 */
export function noteFailedConnections(note: (text: string) => void): void {
  const look = (error: Failed | null | undefined): void => {
    const { syscall, code, address, hostname, message } = error ?? {};
    if (syscall !== "connect" && syscall !== "getaddrinfo") return;
    if (CODES.has(code) && !LOOPBACK.test(address ?? hostname ?? "")) note(String(message));
  };
  const onError = (error: Failed): void => {
    try {
      // One for each address that was tried.
      const all = Array.isArray(error?.errors) ? (error.errors as Failed[]) : [error];
      for (const one of all) look(one);
    } catch {
      // Whatever a function makes of errors is its own affair.
    }
  };
  subscribe(CHANNEL, (message) => {
    const { socket } = message as { socket: EventEmitter };
    try {
      // A socket may connect again.
      if (socket.listenerCount(errorMonitor, onError) === 0) socket.on(errorMonitor, onError);
    } catch {
      // As may sockets.
    }
  });
}
