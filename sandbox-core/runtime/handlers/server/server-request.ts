/** A call as a request of HTTP/1.1 to the function's own server. */
import type { HeaderPairs } from "../../../protocol/frames.ts";
import { requestHeaders } from "../fetch/fetch.ts";
import type { HandlerCall } from "../handler.ts";

// Captured before tenant code.
const { from, concat } = Buffer;
const { parse } = URL;

const LENGTH = /^\d{1,15}$/;
/** Characters that end a request's target; a client cannot have sent any. */
const NOT_OF_A_TARGET = /[^\x21-\xff]/g;
/** Fields that say how the request goes over its connection, which is another one here. */
const FRAMING = new Set(["connection", "keep-alive", "content-length", "transfer-encoding", "expect", "upgrade"]);
/** Methods of requests that have a body most often, and say so where it is empty. */
const WITH_BODY = new Set(["POST", "PUT", "PATCH"]);

export interface ServerRequest {
  /** The head, and the body where all of it is here. */
  first: Buffer;
  /** How the rest of the body goes: null where there is none. */
  rest: BodyFraming | null;
}

/** In chunks, or as it is, with exactly so many bytes. */
export type BodyFraming = { bytes: number } | "chunks";

/** The request that stands for a call. */
export function serverRequest({ request }: HandlerCall): ServerRequest {
  const { method, path, body, bodyFollows } = request;
  const given = requestHeaders(request.headers, request.traceparent);
  const fields = given.filter(([name]) => !FRAMING.has(name));
  if (!fields.some(([name]) => name === "host")) fields.unshift(["host", parse(request.url)?.host ?? ""]);
  const rest = bodyFollows ? framingOf(given, body.length) : null;
  if (rest === "chunks") fields.push(["transfer-encoding", "chunked"]);
  else if (rest !== null) fields.push(["content-length", String(rest.bytes)]);
  else if (body.length > 0 || WITH_BODY.has(method)) fields.push(["content-length", String(body.length)]);
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`);
  const target = path.replace(NOT_OF_A_TARGET, encodeURIComponent);
  const head = from(`${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n`, "latin1");
  return { first: bodyFollows || body.length === 0 ? head : concat([head, body]), rest };
}

/** The length that the client said, where it can be one of the body. */
function framingOf(headers: HeaderPairs, least: number): BodyFraming {
  const lengths = headers.filter(([name]) => name === "content-length").map(([, value]) => value);
  const [length = ""] = lengths;
  const isOne = lengths.length === 1 && LENGTH.test(length) && Number(length) >= least;
  return isOne ? { bytes: Number(length) } : "chunks";
}

/** A piece of a body as a chunk (RFC 9112, section 7.1); the empty one is the end. */
export function chunkOf(bytes: Uint8Array): Buffer {
  return concat([from(`${bytes.length.toString(16)}\r\n`), bytes, from("\r\n")]);
}
