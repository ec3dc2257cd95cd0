/** Handlers that take a Request and return a Response. */
import type { HeaderPairs } from "../../protocol/frames.ts";
import { describeValue } from "../describe.ts";
import { requestOf } from "../fetch/request.ts";
import { takePlainParts } from "../fetch/response.ts";
import type { FunctionFacts, Handler, HandlerCall, HandlerReply } from "./handler.ts";

type FetchFunction = (request: Request, env: Record<string, string>, ctx: FetchContext) => unknown;

interface FetchContext {
  /** Keeps the instance until the promise settles: for work that outlives the response. */
  waitUntil: (promise: unknown) => void;
}

// A function that replaces this global gets what it wants, and we keep what we need.
const NodeResponse = Response;

/** A handler around `export default { fetch }` (bound to its object) or `export default (request, env, ctx) => ...`. */
export function fetchHandler(fetchFunction: FetchFunction, facts: FunctionFacts): Handler {
  return async (call) => {
    const request = makeRequest(call);
    const ctx: FetchContext = { waitUntil: call.waitUntil };
    return readResponse(await fetchFunction(request, facts.env, ctx));
  };
}

function makeRequest(call: HandlerCall): Request {
  const { request, body } = call;
  const { method, url } = request;
  const headers = requestHeaders(request.headers, request.traceparent);
  try {
    return requestOf({ method, url, headers, signal: () => call.signal, body: bodyOf(request, body) });
  } catch (error) {
    const reason = error instanceof Error ? error.message : "";
    throw new TypeError(`No Request can stand for this call (${method} ${url}): ${reason}`, { cause: error });
  }
}

function bodyOf({ method, bodyFollows, body }: HandlerCall["request"], incoming: HandlerCall["body"]) {
  if (method === "GET" || method === "HEAD") return null;
  if (bodyFollows) return { body: incoming.stream(), duplex: "half" as const };
  // A body that is here already needs no stream.
  return body.length > 0 ? { body: body as Uint8Array<ArrayBuffer> } : null;
}

/** The client's headers; the trace context is that of the platform's own span, which has the client's for parent. */
function requestHeaders(headers: HeaderPairs, traceparent: string | null): HeaderPairs {
  if (traceparent === null) return headers;
  const out: HeaderPairs = [];
  for (let index = 0; index < headers.length; index++) {
    const pair = headers[index] as HeaderPairs[number];
    if (pair[0] !== "traceparent") out.push(pair);
  }
  out.push(["traceparent", traceparent]);
  return out;
}

function readResponse(result: unknown): HandlerReply {
  const plain = typeof result === "object" && result !== null ? takePlainParts(result) : null;
  if (plain !== null) return plain;
  if (!isResponse(result)) {
    throw new TypeError(`The handler must return a Response, and returned ${describeValue(result)}.`);
  }
  const { status, body } = result;
  if (status < 200 || status > 599) throw new TypeError(`The handler returned a Response with the status ${status}.`);
  if (result.bodyUsed || body?.locked) {
    throw new TypeError("The handler returned a Response whose body was read already, or is being read.");
  }
  const headers: HeaderPairs = [];
  for (const [name, value] of result.headers) headers.push([name, value]);
  return { status, headers, body };
}

/** A Response, be it Node's or of a package that the function brought along. */
function isResponse(result: unknown): result is Response {
  if (result instanceof NodeResponse) return true;
  if (typeof result !== "object" || result === null) return false;
  const { status, headers, body } = result as Partial<Response>;
  return (
    typeof status === "number" &&
    typeof headers?.[Symbol.iterator] === "function" &&
    (body === null || typeof body?.getReader === "function")
  );
}
