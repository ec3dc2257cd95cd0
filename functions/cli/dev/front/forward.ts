/** Passes one request to the gateway and its answer back, both as they come. */
import { type IncomingMessage, request as requestHttp, type ServerResponse } from "node:http";
import { request as requestHttps } from "node:https";

/** Where the gateway serves the function. */
export interface Upstream {
  /** The gateway's, to connect to. */
  origin: string;
  /** Before the path of every request; empty where the function has a host of its own. */
  prefix: string;
  /** The host field of a request, by the one that came. */
  hostFor(given: string | undefined): string;
}

/**
 * The way to a function's URL.
 * @param functionUrl as the gateway tells it. @param gatewayUrl where the gateway was reached.
 * @param port the front's.
 */
export function upstreamOf(functionUrl: string, gatewayUrl: string, port: number): Upstream {
  const url = new URL(functionUrl);
  if (url.pathname !== "/") {
    // A gateway elsewhere does not know itself by this machine's names.
    const hostFor = (given: string | undefined) => (isThisMachine(url.hostname) ? (given ?? url.host) : url.host);
    return { origin: url.origin, prefix: url.pathname.replace(/\/+$/, ""), hostFor };
  }
  // Not every resolver knows names below localhost (RFC 6761), and the function is to see the port
  // that its clients use.
  if (isLocal(url.hostname)) {
    const host = `${url.hostname}:${port}`;
    return { origin: new URL(gatewayUrl).origin, prefix: "", hostFor: () => host };
  }
  return { origin: url.origin, prefix: "", hostFor: () => url.host };
}

/** Whether the host of a URL is this machine, by name or address. */
export function isThisMachine(hostname: string): boolean {
  return isLocal(hostname) || hostname === "127.0.0.1" || hostname === "[::1]";
}

function isLocal(hostname: string): boolean {
  return hostname === "localhost" || hostname.endsWith(".localhost");
}

/** Fields of one hop (RFC 9110, section 7.6.1); the gateway's refusal of upgrades is its own. */
const HOP_BY_HOP = new Set(["connection", "keep-alive", "proxy-connection", "te", "trailer", "expect"]);

export interface Forwarded {
  request: IncomingMessage;
  response: ServerResponse;
  upstream: Upstream;
}

/**
 * Sends the request and resolves with the head of the answer; its body is the caller's to pass on.
 * Ends the request when the client leaves.
 * @throws what the connection ends with
 */
export function forward({ request, response, upstream }: Forwarded): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const send = upstream.origin.startsWith("https:") ? requestHttps : requestHttp;
  const fields = ["host", upstream.hostFor(request.headers.host), ...passed(request.rawHeaders, ["host"])];
  if (request.headers.upgrade !== undefined) fields.push("connection", "upgrade");
  const path = upstream.prefix + pathOf(request);
  const outgoing = send(upstream.origin, { method: request.method ?? "GET", path, headers: fields }, resolve);
  outgoing.on("error", reject);
  response.once("close", () => outgoing.destroy());
  // Else the head waits for the first part of the body, which may be long in coming.
  if (hasBody(request)) outgoing.flushHeaders();
  request.pipe(outgoing);
  return promise;
}

/** Sends an answer on to the client, part by part. */
export function passOn(answer: IncomingMessage, response: ServerResponse): void {
  // Both are in what came, or are not to be there.
  response.sendDate = false;
  const fields = passed(answer.rawHeaders, ["transfer-encoding"]);
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage, fields);
  response.flushHeaders();
  answer.on("error", () => response.destroy());
  answer.pipe(response);
}

/** The target in origin form, also of a client that sends a whole URL. */
export function pathOf({ url = "/" }: IncomingMessage): string {
  if (url.startsWith("/")) return url;
  const parsed = URL.parse(url);
  return parsed === null ? "/" : parsed.pathname + parsed.search;
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function passed(raw: readonly string[], without: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    if (!HOP_BY_HOP.has(name) && !without.includes(name)) kept.push(raw[i] as string, raw[i + 1] as string);
  }
  return kept;
}
