/**
 * The HTTP server itself: its limits, and what it says when what arrives is no HTTP. Functions'
 * URLs go straight to their handler, as hono would normalise what must arrive as it was sent;
 * everything else goes to hono.
 */

import { randomUUID } from "node:crypto";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { Socket } from "node:net";
import { type ErrorCode, errorBody, SandpiperError, statusOf } from "../functions/model/errors.ts";
import { arrive, METHODS } from "./call/arrival.ts";
import type { Clients } from "./http/clients.ts";
import { Connection } from "./http/connection.ts";
import { maxConnections } from "./http/descriptors.ts";
import { publicError, retryAfter, sendError } from "./http/error-reply.ts";
import { FUNCTION_PREFIX, type Hosts, type KnownHost } from "./http/hosts.ts";

/** Time for the header fields of a request, and for all of it. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 120_000;
/**
 * How long a connection may be idle between requests; longer than the 60 s of usual load balancers.
 */
const KEEP_ALIVE_MS = 65_000;
/** How long a client may read nothing of an answer that waits for it. */
const UNREAD_MS = 60_000;
/** How long a connection that is refused stays, so that its client gets to see why. */
const REFUSED_MS = 1_000;
/**
 * Fields that one request may have; node drops what is beyond without a word, so that it is more
 * than fit in bytes.
 */
const MAX_HEADER_FIELDS = 0;
/**
 * Whether a connection whose client ended its side of it can still be answered: a property that
 * node does not document.
 */
const HALF_OPEN = { httpAllowHalfOpen: true };

/** Further header fields of errors that the server itself answers with. */
const FIELDS_OF: { [code in ErrorCode]?: readonly [name: string, value: string] } = {
  METHOD_NOT_ALLOWED: ["allow", METHODS],
};

export interface ServerParts {
  maxHeaderBytes: number;
  clients: Clients;
  hosts: Hosts;
  unreadMs?: number;
  /**
   * Answers a request for a function's host or domain, or for the gateway's with a target that
   * begins with `/fn/`; the target is in origin form.
   */
  invoke: (request: IncomingMessage, response: ServerResponse, host: KnownHost, target: string) => void;
  /** Answers all else. */
  control: RequestListener;
}

export interface GatewayServer {
  server: Server;
  /** Ends each connection with its next answer, or the one that is being made, from now on. */
  endConnections(): void;
}

/** A server that listens to nobody yet. */
export function createGatewayServer(parts: ServerParts): GatewayServer {
  const connections = new Map<Socket, Connection>();
  let isEnding = false;
  const server = createServer({
    maxHeaderSize: parts.maxHeaderBytes,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: 5_000,
    // Both are answered below, with our own words.
    requireHostHeader: false,
    insecureHTTPParser: false,
  });
  Object.assign(server, HALF_OPEN);
  server.maxHeadersCount = MAX_HEADER_FIELDS;
  // Those beyond are closed at once: a connection to Redis that breaks must find a descriptor.
  server.maxConnections = maxConnections();
  server.timeout = parts.unreadMs ?? UNREAD_MS;
  const begin = (request: IncomingMessage, response: ServerResponse): void =>
    connections.get(request.socket)?.begin(request, response);
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    begin(request, response);
    if (isEnding) response.shouldKeepAlive = false;
    answer(parts, request, response);
  };
  server.on("connection", (socket: Socket) => {
    const connection = new Connection(socket);
    connections.set(socket, connection);
    socket.once("close", () => connections.delete(socket));
    if (parts.clients.connect(socket)) return;
    connection.leave();
    refuse(socket, "TOO_MANY_CONNECTIONS", REFUSED_MS);
  });
  server.on("request", listener);
  // Node would say "continue" before anybody has looked at how large the body is going to be; see
  // http/request-body.ts.
  server.on("checkContinue", listener);
  server.on("checkExpectation", (request, response) => {
    begin(request, response);
    refuseRequest(request, response, new SandpiperError("EXPECTATION_FAILED"));
  });
  server.on("connect", (_request, socket: Socket) => {
    const connection = connections.get(socket);
    connection?.leave();
    socket.on("error", () => {});
    if (connection?.mayAnswer) refuse(socket, "METHOD_NOT_ALLOWED");
    else socket.destroy();
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    if (connections.get(socket)?.mayAnswer) refuse(socket, codeOf(error.code ?? ""));
    else socket.destroy();
  });
  // Nothing moved for long: a call may take longer, but what was said and is not read keeps memory
  // and a connection.
  server.on("timeout", (socket: Socket) => {
    if (!connections.get(socket)?.isWaitedFor) socket.destroy();
  });
  const endConnections = (): void => {
    isEnding = true;
    for (const socket of connections.keys()) {
      const response = answerOn(socket);
      if (response && !response.headersSent) response.shouldKeepAlive = false;
    }
  };
  return { server, endConnections };
}

/** The answer that a connection is occupied with: a property that node does not document. */
function answerOn(socket: Socket): ServerResponse | undefined {
  return (socket as { _httpMessage?: ServerResponse })._httpMessage;
}

function answer(parts: ServerParts, request: IncomingMessage, response: ServerResponse): void {
  try {
    if (!parts.clients.admit(request)) throw new SandpiperError("TOO_MANY_REQUESTS");
    const { host, target } = arrive(request, parts.hosts);
    const isCall = host.kind !== "gateway" || target.startsWith(FUNCTION_PREFIX);
    if (isCall) parts.invoke(request, response, host, target);
    else parts.control(request, response);
  } catch (error) {
    refuseRequest(request, response, publicError(error));
  }
}

function refuseRequest(request: IncomingMessage, response: ServerResponse, error: SandpiperError): void {
  sendError(request, response, error, randomUUID(), FIELDS_OF[error.code]);
}

/** Says why a connection ends where there is no request that node could answer. */
function refuse(socket: Socket, code: ErrorCode, lingerMs = 0): void {
  const requestId = randomUUID();
  const body = JSON.stringify(errorBody(new SandpiperError(code), requestId));
  const fields = { "content-type": "application/json", "x-request-id": requestId, connection: "close" };
  const more = FIELDS_OF[code] ?? retryAfter({ code });
  const lines = [
    `HTTP/1.1 ${statusOf(code)} ${STATUS_CODES[statusOf(code)]}`,
    ...[...Object.entries(fields), ...(more.length > 0 ? [more] : [])].map(([name, value]) => `${name}: ${value}`),
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  const timer = lingerMs > 0 ? setTimeout(() => socket.destroy(), lingerMs) : null;
  socket.once("close", () => timer && clearTimeout(timer));
  socket.end(`${lines.join("\r\n")}\r\n\r\n${body}`, () => timer ?? socket.destroySoon());
}

function codeOf(reason: string): ErrorCode {
  if (reason === "HPE_HEADER_OVERFLOW") return "HEADERS_TOO_LARGE";
  if (reason === "ERR_HTTP_REQUEST_TIMEOUT") return "REQUEST_TIMEOUT";
  return "MALFORMED_REQUEST";
}
