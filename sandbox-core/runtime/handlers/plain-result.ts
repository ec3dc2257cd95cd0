/** Results of a handler other than a Response, and the replies that they mean. */
import { describeValue } from "../describe.ts";
import type { HandlerReply } from "./handler.ts";
import { lambdaReply } from "./lambda-result.ts";
import { responseReply } from "./response.ts";

// Captured before tenant code.
const NodeResponse = Response;
const [NodeBlob, NodeForm, NodeStream, NodeQuery] = [Blob, FormData, ReadableStream, URLSearchParams];
const OrdinaryBuffer = ArrayBuffer;
const { isView } = ArrayBuffer;
const { isInteger } = Number;
const { keys } = Object;

/**
 * Members of an object that is a response by its parts: with any other it is data that has a
 * status.
 */
const PARTS = new Set(["status", "statusText", "headers", "body"]);

interface Parts {
  status: number;
  statusText?: string;
  headers?: Record<string, string>;
  body?: unknown;
}

/**
 * The reply that a plain result means: a text or bytes are the body of a 200, an object of
 * `{status, headers, body}` or `{statusCode, headers, body}` is a response, and any other value is
 * JSON.
 * @throws TypeError for what means nothing
 */
export function plainReply(result: unknown): HandlerReply {
  if (result === undefined || typeof result === "function" || typeof result === "symbol") {
    throw new TypeError(
      `The handler must return a Response, a text, bytes or a value for JSON, and returned ${describeValue(result)}.`,
    );
  }
  if (typeof result === "object" && result !== null && "statusCode" in result) return lambdaReply(result);
  if (isParts(result)) return partsReply(result);
  return responseReply(isBody(result) ? new NodeResponse(result) : NodeResponse.json(result));
}

function partsReply({ status, statusText = "", headers = {}, body = null }: Parts): HandlerReply {
  if (status < 200 || status > 599) throw new TypeError(`status must be 200 to 599, and is ${status}.`);
  const init = { status, statusText, headers };
  return responseReply(body === null || isBody(body) ? new NodeResponse(body, init) : NodeResponse.json(body, init));
}

function isParts(result: unknown): result is Parts {
  if (typeof result !== "object" || result === null || !("status" in result)) return false;
  if (!("body" in result || "headers" in result)) return false;
  return isInteger(result.status) && keys(result).every((key) => PARTS.has(key));
}

/** Whether a Response takes it as a body that is not the text of an object. */
function isBody(value: unknown): value is ConstructorParameters<typeof Response>[0] {
  if (typeof value === "string" || isView(value) || value instanceof OrdinaryBuffer) return true;
  return [NodeBlob, NodeForm, NodeStream, NodeQuery].some((known) => value instanceof known);
}
