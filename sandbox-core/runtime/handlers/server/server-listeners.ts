/**
 * The servers that a module listens with: by whatever package they were made, in the end each is a
 * server of node:net, which says so on a channel of Node's (node:diagnostics_channel). Threads say
 * there that they begin.
 */
import { subscribe } from "node:diagnostics_channel";
import type { NetConnectOpts, Server } from "node:net";
import type { Worker } from "node:worker_threads";
import { listeningSockets } from "./server-threads.ts";

const LISTENING = "tracing:net.server.listen:asyncEnd";
const THREADS = "worker_threads";

/** A server that can be connected to. */
export interface Listener {
  /** Null for one in a thread of the function's. */
  readonly server: Server | null;
  /** Its port or path, for people: "3000", "/tmp/app.sock". */
  readonly name: string;
  readonly target: NetConnectOpts;
}

export class Listeners {
  readonly #port: string;
  /** In the order in which they listened first. */
  readonly #servers = new Map<Server, Listener>();
  readonly #threads: Worker[] = [];
  #inThread: Listener | null = null;
  #wake = Promise.withResolvers<void>();

  /** Begins to look. @param port the one that the module was told to listen on */
  constructor(port: string) {
    this.#port = port;
    subscribe(LISTENING, (message) => {
      const { server } = message as { server: Server };
      this.#servers.set(server, listenerOf(server));
      this.#woken();
    });
    subscribe(THREADS, (message) => {
      this.#threads.push((message as { worker: Worker }).worker);
    });
  }

  /**
   * The server that gets the requests, or null when none listens. Of several that is the one on the
   * port that the module was told; of others one of HTTP, and the one that listened first.
   */
  get chosen(): Listener | null {
    let best: Listener | null = null;
    let bestRank = 0;
    for (const [server, listener] of this.#servers) {
      if (!server.listening) continue;
      const rank = listener.name === this.#port ? 3 : isPlainHttp(server) ? 2 : 1;
      if (rank > bestRank) [best, bestRank] = [listener, rank];
    }
    return best ?? this.#inThread;
  }

  /** Resolves when a server begins to listen. */
  next(): Promise<void> {
    return this.#wake.promise;
  }

  /** Whether the module has a thread that may yet listen. */
  get hasThreads(): boolean {
    return this.#threads.some(({ threadId }) => threadId !== -1);
  }

  /** Looks for a server in a thread of the module's, of which no channel here tells. */
  lookAtThreads(): void {
    if (!this.hasThreads || this.chosen !== null) return;
    const sockets = listeningSockets();
    const socket = sockets.find(({ name }) => name === this.#port) ?? sockets[0];
    if (socket !== undefined) this.#inThread = { server: null, ...socket };
  }

  /**
   * Looks again when nobody listens where a listener was. Whether there is another one: threads
   * begin, end and listen unseen.
   */
  replace({ name }: Listener): boolean {
    this.#inThread = null;
    this.lookAtThreads();
    return this.chosen !== null && this.chosen.name !== name;
  }

  #woken(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}

/** Whether it speaks TLS, which the gateway has ended. */
export function speaksTls({ server }: Listener): boolean {
  return server !== null && "setSecureContext" in server;
}

/** Whether it is a server of node:http, of which it is known which requests it has begun. */
export function isPlainHttp(server: Server | null): boolean {
  return server !== null && "requestTimeout" in server && !("setSecureContext" in server);
}

function listenerOf(server: Server): Listener {
  const address = server.address();
  if (address === null || typeof address === "string") {
    const path = String(address);
    return { server, name: path, target: { path } };
  }
  const { port, address: host } = address;
  return { server, name: `${port}`, target: { port, host: reachable(host) } };
}

/** An address that leads to who listens on this one: "any" is none to connect to. */
export function reachable(host: string): string {
  if (host === "::") return "::1";
  return host === "0.0.0.0" ? "127.0.0.1" : host;
}
