/** Handlers that take a Request and return a Response. */
import type { HeaderPairs } from "../../../protocol/frames.ts";
import { requestOf } from "../../fetch/request.ts";
import type { FunctionFacts, Handler, HandlerCall } from "../handler.ts";
import { isResponse, responseReply } from "../response.ts";
import { ownUrl } from "./own-url.ts";
import { isBodiless, plainReply } from "./plain-result.ts";

export type FetchFunction = (request: Request, env: Record<string, string>, ctx: FetchContext) => unknown;

export interface FetchContext {
  /** Keeps the instance until the promise settles: for work that outlives the response. */
  waitUntil: (promise: unknown) => void;
  /** Accepted and without effect: nothing stands behind a function. */
  passThroughOnException: () => void;
  /** Always empty: nobody calls a function with properties. */
  props: object;
}

const NO_PROPS = Object.freeze({});
const passThroughOnException = () => {};

/**
 * A handler around `export default { fetch }` (bound to its object) or `export default (request,
 * env, ctx) => ...`.
 */
export function fetchHandler(fetchFunction: FetchFunction, facts: FunctionFacts): Handler {
  return async (call) => {
    const request = makeRequest(call);
    const ctx: FetchContext = { waitUntil: call.waitUntil, passThroughOnException, props: NO_PROPS };
    const result = await fetchFunction(request, facts.env, ctx);
    return isResponse(result) && !isBodiless(result) ? responseReply(result) : plainReply(result);
  };
}

function makeRequest(call: HandlerCall): Request {
  const { request, body } = call;
  const { method } = request;
  const url = ownUrl(request.url, request.path);
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

/**
 * The client's headers; the trace context is that of the platform's own span, which has the
 * client's for parent.
 */
export function requestHeaders(headers: HeaderPairs, traceparent: string | null): HeaderPairs {
  if (traceparent === null) return headers;
  const out: HeaderPairs = [];
  for (let index = 0; index < headers.length; index++) {
    const pair = headers[index] as HeaderPairs[number];
    if (pair[0] !== "traceparent") out.push(pair);
  }
  out.push(["traceparent", traceparent]);
  return out;
}
