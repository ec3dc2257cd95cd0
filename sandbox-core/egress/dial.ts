/**
 * Connections to hosts, by address: to several of a host's at once, since one may be silent for
 * long (RFC 8305, "happy eyeballs").
 */
import { connect, isIPv6, type Socket } from "node:net";
import { reset } from "./reset.ts";

const KEEP_ALIVE_MS = 60_000;
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
): Promise<Socket | null> {
  const { promise, resolve } = Promise.withResolvers<Socket | null>();
  const left = interleaved(addresses);
  const running = new Set<Socket>();
  let timer: NodeJS.Timeout | undefined;
  const finish = (winner: Socket | null) => {
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
  const onEnd = (socket: Socket) => {
    if (running.delete(socket)) next();
  };
  signal.addEventListener("abort", giveUp, { once: true });
  if (signal.aborted) giveUp();
  else next();
  return promise;
}

interface AttemptEvents {
  onConnect: (socket: Socket) => void;
  /** Told of one that did not connect, or was closed. */
  onEnd: (socket: Socket) => void;
}

function attempt(host: string, port: number, attemptMs: number, { onConnect, onEnd }: AttemptEvents): Socket {
  const socket = connect({
    host,
    port,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
  });
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
