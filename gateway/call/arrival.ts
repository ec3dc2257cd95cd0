/** Faults that any request may have, and the host and path that it is for (RFC 9112, section 3). */
import type { IncomingMessage } from "node:http";
import { SandpiperError } from "../../functions/model/errors.ts";
import { type Hosts, type KnownHost, NO_HOST } from "../http/hosts.ts";
import { splitTarget } from "./target.ts";

/**
 * The methods that functions and the control API take; others go to functions as well, if they have
 * the form of one.
 */
export const METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

export interface Arrival {
  host: KnownHost;
  /** Path and query. */
  target: string;
}

/**
 * The host and path that a request is for. Its host is in `headers.host` and `rawHeaders`
 * afterwards, wherever it was.
 * @throws SandpiperError for a request that nobody here can answer.
 */
export function arrive(request: IncomingMessage, hosts: Hosts): Arrival {
  const target = request.url ?? "/";
  const { authority, path } = splitTarget(target);
  const host = hostOf(request, authority, hosts);
  checkCoding(request);
  // A function that answers TRACE would show a client fields that were meant for others, and
  // fetch's Request does not know the method.
  if (request.method === "TRACE") {
    throw new SandpiperError("METHOD_NOT_ALLOWED", { message: "TRACE is not answered here." });
  }
  if (!path.startsWith("/")) {
    const message = `The target of the request line is ${JSON.stringify(target.slice(0, 100))}, which is no path.`;
    throw new SandpiperError("ROUTE_NOT_FOUND", { message });
  }
  return { host, target: path };
}

/**
 * The parser undoes chunks alone; a function would get what is in another coding as if it were in
 * none (section 6.1).
 */
function checkCoding({ headers }: IncomingMessage): void {
  const coding = headers["transfer-encoding"];
  if (coding === undefined || coding.toLowerCase() === "chunked") return;
  const message = `The transfer coding ${JSON.stringify(coding.slice(0, 100))} is not understood here, only "chunked" is.`;
  throw new SandpiperError("INVALID_REQUEST", { message });
}

function hostOf(request: IncomingMessage, authority: string | null, hosts: Hosts): KnownHost {
  const { rawHeaders } = request;
  let at = -1;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length !== 4 || name.toLowerCase() !== "host") continue;
    if (at !== -1) throw badHost("has more than one `host` header field");
    at = i + 1;
  }
  if (at === -1 && request.httpVersion !== "1.0") throw badHost("has no `host` header field");
  if (authority !== null) {
    // The target's host counts, and what the field says is ignored (RFC 9112, section 3.2.2).
    if (at === -1) at = rawHeaders.push("host", authority) - 1;
    rawHeaders[at] = authority;
    request.headers.host = authority;
  }
  return at === -1 ? NO_HOST : known(rawHeaders[at] as string, hosts);
}

function known(text: string, hosts: Hosts): KnownHost {
  const host = hosts.find(text);
  if (host.kind === "invalid") throw badHost("is for a host that can be none");
  if (host.kind === "function" || host.kind === "domain" || host.kind === "gateway") return host;
  const form = `<function>.<tenant>.${hosts.functionDomain}`;
  throw new SandpiperError("UNKNOWN_HOST", {
    message: `Nothing here has the host name ${text}. A function's is ${form}.`,
  });
}

function badHost(what: string): SandpiperError {
  return new SandpiperError("INVALID_REQUEST", { message: `The request ${what}.` });
}
