/** Reads the body of a request, up to a limit. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { SandpiperError } from "../../functions/model/errors.ts";
import type { Budget, Holder } from "./budget.ts";

export interface BodyLimits {
  maxBytes: number;
  /** Memory that all bodies being read may hold together. */
  budget: Budget;
}

/** Whether a request announces a body (RFC 9112, section 6). */
export function hasBody(request: IncomingMessage): boolean {
  const { headers } = request;
  const length = headers["content-length"];
  return headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0");
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
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  // HTTP/1.0 knows no interim answers (RFC 9110, section 10.1.1).
  if (request.headers.expect !== undefined && request.httpVersion !== "1.0") response.writeContinue();
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

/** The error of a request whose client left before all of it was there. */
export function leftEarly(cause?: unknown): SandpiperError {
  return new SandpiperError("CLIENT_GONE", { message: "The client left before its request had arrived.", cause });
}

function tooLarge(maxBytes: number): SandpiperError {
  return new SandpiperError("BODY_TOO_LARGE", { message: `The request body is larger than ${maxBytes} bytes.` });
}
