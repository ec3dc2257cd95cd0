/** The rules of sandboxes, and the connections that requests of theirs come over. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { createSecureContext, type TLSSocket } from "node:tls";
import type { EgressInjection } from "../contract/egress.ts";
import type { CarryRequest, CarryWord, InjectorRequest } from "../protocol/injector.ts";
import type { Authority } from "./authority.ts";
import { InjectedConnection, type InjectorParts } from "./injected-connection.ts";
import type { RequestRefusal } from "./request-check.ts";

/** Node parses strictly, and refuses what has both a length and chunks. */
const SERVER = { maxHeaderSize: 65_536, keepAliveTimeout: 0, requestTimeout: 0, requireHostHeader: false } as const;

const MALFORMED: RequestRefusal = {
  verdict: "malformed_request",
  status: 400,
  why: "What came over TLS is no request of HTTP/1.1.",
};
const NO_UPGRADE: RequestRefusal = {
  verdict: "upgrade_refused",
  status: 403,
  why: "Requests are looked at here, and nothing else: no CONNECT, no WebSocket, no other protocol.",
};

export class Injector {
  readonly #rules = new Map<number, Map<string, EgressInjection>>();
  readonly #connections = new WeakMap<Socket, InjectedConnection>();
  readonly #parts: InjectorParts;

  /** @param issuers certificates of those who vouch for hosts, as PEM */
  constructor(authority: Authority, issuers: readonly string[]) {
    const server = this.#makeServer();
    this.#parts = {
      authority,
      trust: createSecureContext({ ca: [...issuers], minVersion: "TLSv1.2" }),
      serve: (near: TLSSocket, connection) => {
        this.#connections.set(near, connection);
        server.emit("connection", near);
      },
    };
  }

  answer(request: Exclude<InjectorRequest, { op: "link" }>): void {
    const { sandbox } = request;
    if (request.op === "close") this.#rules.delete(sandbox);
    else this.#rules.set(sandbox, new Map(request.injections.map((rule) => [rule.name, rule])));
  }

  /** Carries a connection, whose descriptors are given up if nothing is injected into it. */
  carry({ id, sandbox, name }: CarryRequest, fds: readonly [number, number], say: (word: CarryWord) => void): boolean {
    const rule = this.#rules.get(sandbox)?.get(name);
    // An earlier injector was told of these; the sandbox trusts that one.
    if (rule === undefined) {
      say({ is: "failed", id, verdict: "relay_died" });
      say({ is: "ended", id });
      return false;
    }
    new InjectedConnection({ id, rule, fds, parts: this.#parts, say }).start();
    return true;
  }

  #makeServer(): Server {
    const server = createServer(SERVER);
    // None is left out: a length that nobody sees would be another request's beginning.
    server.maxHeadersCount = 0;
    const take = (request: IncomingMessage, response: ServerResponse) =>
      this.#of(request.socket)?.take(request, response);
    server.on("request", take).on("checkContinue", take);
    // The target of CONNECT is no path, and is not looked at.
    server.on("connect", ({ socket }: IncomingMessage) => this.#of(socket)?.refuse(socket, NO_UPGRADE));
    server.on("upgrade", (request: IncomingMessage, socket: Socket) => {
      const connection = this.#of(request.socket);
      connection?.refuse(socket, connection.judge(request) ?? NO_UPGRADE);
    });
    server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
      const connection = this.#of(socket);
      if (error.code?.startsWith("HPE_") && socket.writable) connection?.refuse(socket, MALFORMED);
      else connection?.end();
    });
    return server;
  }

  #of(socket: Socket): InjectedConnection | undefined {
    return this.#connections.get(socket);
  }
}
