/** Answers with an error, in the one shape that all errors of Sandpiper have. */
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  type ErrorCode,
  errorBody,
  isErrorCode,
  SandpiperError,
  statusOf,
  type ToldError,
} from "../../functions/model/errors.ts";
import { isRedisAway } from "../../functions/redis/connections.ts";
import { MIB } from "../../infra/std/bytes.ts";
import { hasBody } from "./request-body.ts";

/**
 * How long, and how much, of a refused body is still read, so that its sender gets to see the
 * answer.
 */
const LINGER_MS = 2_000;
const LINGER_BYTES = 64 * MIB;

/** After how many seconds a call may be tried again that failed for want of something. */
const RETRY_AFTER_SECONDS: { [code in ErrorCode]?: number } = {
  CALL_QUOTA: 1,
  DEPLOY_QUOTA: 60,
  EXPIRED: 2,
  JWKS_UNAVAILABLE: 10,
  NO_WORKER: 2,
  OVERLOADED: 2,
  QUEUE_UNAVAILABLE: 1,
  RESTORE_RUNNING: 5,
  SHUTTING_DOWN: 1,
  TOO_MANY_REQUESTS: 1,
  TOO_MANY_CONNECTIONS: 1,
};

/** The header field `retry-after` of errors that have one, name and value in turn. */
export function retryAfter({ code, retryAfterSeconds }: Pick<ToldError, "code" | "retryAfterSeconds">): string[] {
  const seconds = retryAfterSeconds ?? (isErrorCode(code) ? RETRY_AFTER_SECONDS[code] : undefined);
  return seconds === undefined ? [] : ["retry-after", String(seconds)];
}

/**
 * The error that a client is told for any failure: an unknown one becomes INTERNAL and says nothing
 * of itself.
 */
export function publicError(error: unknown): SandpiperError {
  if (error instanceof SandpiperError) return error;
  if (isRedisAway(error)) return new SandpiperError("QUEUE_UNAVAILABLE", { cause: error });
  return new SandpiperError("INTERNAL", { cause: error });
}

/**
 * Sends an error. When a part of the request's body has not arrived, the connection ends after the
 * answer: what is left of the body must not be taken for the next request.
 * @param more further header fields, names and values in turn.
 */
export function sendError(
  request: IncomingMessage,
  response: ServerResponse,
  error: ToldError,
  requestId: string,
  more: readonly string[] = [],
): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const body = Buffer.from(JSON.stringify(errorBody(error, requestId)));
  const unread = !request.complete && hasBody(request);
  response.writeHead(statusOf(error.code), [
    "content-type",
    "application/json",
    "content-length",
    String(body.length),
    "x-request-id",
    requestId,
    ...retryAfter(error),
    ...more,
    ...(unread ? ["connection", "close"] : []),
  ]);
  if (unread) lingerThenEnd(request, response, body);
  else response.end(request.method === "HEAD" ? undefined : body);
}

/**
 * Closing a socket with unread bytes makes the kernel send a reset, which can overtake the answer
 * (RFC 9112, section 9.6). So the answer is sent whole, and the end of the connection waits for the
 * client for a moment.
 */
function lingerThenEnd(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  if (request.method !== "HEAD") response.write(body);
  let left = LINGER_BYTES;
  const end = (): void => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  request.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) end();
  });
  request.once("end", end);
  request.once("close", end);
}
