/**
 * Connections to hosts, by address: to several of a host's at once, since one may be silent for
 * long (RFC 8305, "happy eyeballs").
 */
import { isIPv6 } from "node:net";
import { PassingSocket } from "./passing-socket.ts";
import { reset } from "./reset.ts";

const LIVELY = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 };
/** Most attempts of one connection at once, each of which takes a descriptor. */
const MOST_AT_ONCE = 3;

/** Times of attempts. */
export interface Pace {
  /** After so long one is given up. */
  attemptMs: number;
  /** After so long without a connection the next one is begun. */
  nextMs: number;
}

const PACE: Pace = { attemptMs: 4_000, nextMs: 250 };

/**
 * A connection to the first of the addresses to accept one, paused; null when none does in time, or
 * `signal` says that nobody wants it any more. The others are closed. Never rejects.
 */
export function dial(
  addresses: readonly string[],
  port: number,
  signal: AbortSignal,
  { attemptMs, nextMs }: Pace = PACE,
): Promise<PassingSocket | null> {
  const { promise, resolve } = Promise.withResolvers<PassingSocket | null>();
  const left = interleaved(addresses);
  const running = new Set<PassingSocket>();
  let timer: NodeJS.Timeout | undefined;
  const finish = (winner: PassingSocket | null) => {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
    left.length = 0;
    for (const socket of running) if (socket !== winner) reset(socket);
    resolve(winner);
  };
  const giveUp = () => finish(null);
  const next = () => {
    clearTimeout(timer);
    if (running.size === 0 && left.length === 0) return finish(null);
    const address = running.size < MOST_AT_ONCE ? left.shift() : undefined;
    if (address === undefined) return;
    running.add(attempt(address, port, attemptMs, { onConnect: finish, onEnd }));
    timer = setTimeout(next, nextMs);
  };
  const onEnd = (socket: PassingSocket) => {
    if (running.delete(socket)) next();
  };
  signal.addEventListener("abort", giveUp, { once: true });
  if (signal.aborted) giveUp();
  else next();
  return promise;
}

interface AttemptEvents {
  onConnect: (socket: PassingSocket) => void;
  /** Told of one that did not connect, or was closed. */
  onEnd: (socket: PassingSocket) => void;
}

function attempt(host: string, port: number, attemptMs: number, { onConnect, onEnd }: AttemptEvents): PassingSocket {
  const socket = new PassingSocket(LIVELY).connect({ host, port });
  const timer = setTimeout(() => socket.destroy(), attemptMs);
  const onClose = () => {
    clearTimeout(timer);
    onEnd(socket);
  };
  socket.on("error", () => undefined).once("close", onClose);
  return socket.once("connect", () => {
    clearTimeout(timer);
    socket.off("close", onClose).pause();
    onConnect(socket);
  });
}

/** The addresses with both versions in turn, beginning with that of the first. */
function interleaved(addresses: readonly string[]): string[] {
  const [first = ""] = addresses;
  const like = addresses.filter((one) => isIPv6(one) === isIPv6(first));
  const unlike = addresses.filter((one) => isIPv6(one) !== isIPv6(first));
  return like.flatMap((one, index) => [one, ...unlike.slice(index, index + 1)]).concat(unlike.slice(like.length));
}
