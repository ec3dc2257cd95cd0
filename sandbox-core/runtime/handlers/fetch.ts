/** Handlers that take a Request and return a Response. */
import type { HeaderPairs } from "../../protocol/frames.ts";
import { describeValue } from "../describe.ts";
import type { FunctionFacts, Handler, HandlerCall, HandlerReply } from "./handler.ts";

type FetchFunction = (request: Request, env: Record<string, string>, ctx: FetchContext) => unknown;

interface FetchContext {
  /** Keeps the instance until the promise settles: for work that outlives the response. */
  waitUntil: (promise: unknown) => void;
}

// A function that replaces these globals gets what it wants, and we keep what we need.
const OriginalRequest = Request;
const OriginalResponse = Response;

/** A handler around `export default { fetch }` (bound to its object) or `export default (request, env, ctx) => ...`. */
export function fetchHandler(fetchFunction: FetchFunction, facts: FunctionFacts): Handler {
  return async (call) => {
    const request = makeRequest(call);
    const ctx: FetchContext = { waitUntil: call.waitUntil };
    return readResponse(await fetchFunction(request, facts.env, ctx));
  };
}

function makeRequest({ request, body, signal }: HandlerCall): Request {
  const { method, url } = request;
  const init: RequestInit = { method, headers: requestHeaders(request.headers, request.traceparent), signal };
  if (method !== "GET" && method !== "HEAD") {
    // A body that is here already needs no stream.
    if (request.bodyFollows) Object.assign(init, { body: body.stream(), duplex: "half" });
    else if (request.body.length > 0) init.body = request.body as Uint8Array<ArrayBuffer>;
  }
  try {
    return new OriginalRequest(url, init);
  } catch (error) {
    const reason = error instanceof Error ? error.message : "";
    throw new TypeError(`No Request can stand for this call (${method} ${url}): ${reason}`, { cause: error });
  }
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
  if (result instanceof OriginalResponse) return true;
  if (typeof result !== "object" || result === null) return false;
  const { status, headers, body } = result as Partial<Response>;
  return (
    typeof status === "number" &&
    typeof headers?.[Symbol.iterator] === "function" &&
    (body === null || typeof body?.getReader === "function")
  );
}
