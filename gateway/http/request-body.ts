/** Reads the body of a request, up to a limit. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { SandpiperError } from "../../functions/model/errors.ts";
import { MAX_PUBLISHED_BODY_BYTES } from "../../functions/transport/body-desk.ts";
import { KIB } from "../../infra/std/bytes.ts";
import type { Holder } from "./budget.ts";
import { type BodyLimits, leftEarly, lengthOf, StreamedBody, tooLarge } from "./streamed-body.ts";

/** A body that is said to have no more is read whole, so that a slow client keeps no worker. */
const WHOLE_BYTES = 256 * KIB;
/** So much of any other must have come before a worker begins with it. */
const FIRST_BYTES = 32 * KIB;

/** Whether a request announces a body (RFC 9112, section 6). */
export function hasBody(request: IncomingMessage): boolean {
  const { headers } = request;
  const length = headers["content-length"];
  return headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0");
}

/**
 * The body: whole where it is short, null when the request announces none; else what gives it as it
 * arrives.
 * @param mayStream whether a worker is known that takes such ones
 * @throws SandpiperError as `readBody` does
 */
export async function openBody(
  request: IncomingMessage,
  response: ServerResponse,
  limits: BodyLimits,
  mayStream: boolean,
): Promise<Buffer | StreamedBody | null> {
  const length = lengthOf(request);
  const isShort = length !== null && length <= WHOLE_BYTES;
  const mustStream = length !== null && length > MAX_PUBLISHED_BODY_BYTES;
  if (isShort || !hasBody(request)) return readBody(request, response, limits);
  if (!mayStream && !mustStream) {
    return readBody(request, response, { ...limits, maxBytes: Math.min(limits.maxBytes, MAX_PUBLISHED_BODY_BYTES) });
  }
  prepare(request, response, limits.maxBytes);
  const body = new StreamedBody(request, limits);
  await body.begun(FIRST_BYTES);
  return body.whole() ?? body;
}

/** @throws SandpiperError when the body is said to be too large */
function prepare(request: IncomingMessage, response: ServerResponse, maxBytes: number): void {
  if ((lengthOf(request) ?? 0) > maxBytes) throw tooLarge(maxBytes);
  // HTTP/1.0 knows no interim answers (RFC 9110, section 10.1.1).
  if (request.headers.expect !== undefined && request.httpVersion !== "1.0") response.writeContinue();
}

/**
 * The whole body; null when the request announces none.
 * @throws SandpiperError BODY_TOO_LARGE as soon as that is known, OVERLOADED when other bodies hold
 * too much memory, CLIENT_GONE when it never ended, or its client was so slow that another one got
 * its place.
 */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  { maxBytes, budget }: BodyLimits,
): Promise<Buffer | null> {
  if (!hasBody(request)) return null;
  prepare(request, response, maxBytes);
  const holder: Holder = { letGo: () => request.destroy() };
  let bytes = 0;
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of dataOf(request)) {
      if (bytes + chunk.length > maxBytes) throw tooLarge(maxBytes);
      if (!budget.hold(holder, bytes + chunk.length)) throw new SandpiperError("OVERLOADED");
      bytes += chunk.length;
      chunks.push(chunk);
    }
    return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, bytes);
  } finally {
    budget.hold(holder, 0);
  }
}

/**
 * Pieces as they arrive. Stopping early does not destroy the request: its answer is still to be
 * sent.
 */
async function* dataOf(request: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    yield* request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  } catch (cause) {
    throw leftEarly(cause);
  }
}
