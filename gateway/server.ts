/**
 * The HTTP server itself: its limits, and what it says when what arrives is no HTTP. Functions' URLs go straight to
 * their handler, as hono would normalise what must arrive as it was sent; everything else goes to hono.
 */

import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type ErrorCode, errorBody, SandpiperError, statusOf } from "../functions/errors.ts";
import { sendError } from "./error-reply.ts";
import { FUNCTION_PREFIX, originForm } from "./target.ts";

/** Time for the header fields of a request, and for all of it. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 120_000;
/** How long a connection may be idle between requests; longer than the 60 s of usual load balancers. */
const KEEP_ALIVE_MS = 65_000;
/** Fields that one request may have; node drops what is beyond without a word, so that it is more than fit in bytes. */
const MAX_HEADER_FIELDS = 0;
const HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

export interface ServerParts {
  maxHeaderBytes: number;
  /** Answers a target in origin form that begins with `/fn/`. */
  invoke: (request: IncomingMessage, response: ServerResponse, target: string) => void;
  /** Answers all else. */
  control: RequestListener;
}

/** A server that listens to nobody yet. */
export function createGatewayServer(parts: ServerParts): Server {
  const exchanges = new OpenExchanges();
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
  server.maxHeadersCount = MAX_HEADER_FIELDS;
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    exchanges.begin(request, response);
    const target = originForm(request.url ?? "/");
    if (!hasUsableHost(request)) sendError(request, response, badHost(), randomUUID());
    else if (target.startsWith(FUNCTION_PREFIX)) parts.invoke(request, response, target);
    else parts.control(request, response);
  };
  server.on("request", listener);
  // Node would say "continue" before anybody has looked at how large the body is going to be; see request-body.ts.
  server.on("checkContinue", listener);
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    if (exchanges.mayAnswer(socket)) refuse(socket, error.code ?? "");
    else socket.destroy();
  });
  return server;
}

/** A host that URLs can be made of; a request without one is an HTTP/1.0 client's. */
function hasUsableHost(request: IncomingMessage): boolean {
  const { host } = request.headers;
  if (host === undefined) return request.httpVersion === "1.0";
  // Only the parser knows that 1.2.3.4.5 is no host and 99999 no port.
  return HOST.test(host) && URL.canParse(`http://${host}/`);
}

function badHost(): SandpiperError {
  return new SandpiperError("INVALID_REQUEST", {
    message: "The request has no `host` header field, or none that is a host.",
  });
}

/** Which requests of a connection are not answered yet: what is written beside them would be taken for their answer. */
class OpenExchanges {
  readonly #open = new WeakMap<Socket, Map<IncomingMessage, ServerResponse>>();

  begin(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    let open = this.#open.get(socket);
    if (!open) {
      open = new Map();
      this.#open.set(socket, open);
    }
    open.set(request, response);
    response.once("close", () => open.delete(request));
    // What is written after the client left has nowhere to go; without a listener it would end the process.
    response.on("error", () => {});
  }

  /** Whether words on this connection answer what was wrong: nothing is open, or only a request that never ended. */
  mayAnswer(socket: Socket): boolean {
    const open = [...(this.#open.get(socket) ?? [])];
    const begun = ([request, response]: [IncomingMessage, ServerResponse]) => request.complete || response.headersSent;
    return socket.writable && open.length <= 1 && !open.some(begun);
  }
}

/** Says what was wrong with what is no HTTP, and ends the connection. */
function refuse(socket: Socket, reason: string): void {
  const code = codeOf(reason);
  const requestId = randomUUID();
  const body = JSON.stringify(errorBody(new SandpiperError(code), requestId));
  socket.end(
    `HTTP/1.1 ${statusOf(code)} ${reasonPhrase(code)}\r\ncontent-type: application/json\r\nx-request-id: ${requestId}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    () => socket.destroySoon(),
  );
}

function codeOf(reason: string): ErrorCode {
  if (reason === "HPE_HEADER_OVERFLOW") return "HEADERS_TOO_LARGE";
  if (reason === "ERR_HTTP_REQUEST_TIMEOUT") return "REQUEST_TIMEOUT";
  return "MALFORMED_REQUEST";
}

function reasonPhrase(code: ErrorCode): string {
  if (code === "HEADERS_TOO_LARGE") return "Request Header Fields Too Large";
  return code === "REQUEST_TIMEOUT" ? "Request Timeout" : "Bad Request";
}
