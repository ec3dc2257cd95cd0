/** Results of a handler other than a Response, and the replies that they mean. */
import type { HeaderPairs } from "../../../protocol/frames.ts";
import { describeValue } from "../../describe.ts";
import type { HandlerReply } from "../handler.ts";
import { lambdaReply } from "../lambda/lambda-result.ts";
import { responseReply } from "../response.ts";

// Captured before tenant code.
const NodeResponse = Response;
const [NodeBlob, NodeForm, NodeStream, NodeQuery] = [Blob, FormData, ReadableStream, URLSearchParams];
const OrdinaryBuffer = ArrayBuffer;
const { isView } = ArrayBuffer;
const { isInteger } = Number;
const { getPrototypeOf, keys } = Object;
const ordinary = Object.prototype;

/** Statuses of responses that have no body (Fetch, "null body status"). */
const BODILESS = new Set([204, 205, 304]);

/**
 * Members of an object that is a response by its parts: with any other it is data that has a
 * status.
 */
const PARTS = new Set(["status", "statusText", "headers", "body"]);

interface Parts {
  status: number;
  statusText?: string;
  headers?: unknown;
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

/**
 * Whether it is the parts of a response without a body, which looks like a Response when its header
 * fields are in an array or a Map.
 */
export function isBodiless(result: object): boolean {
  return getPrototypeOf(result) === ordinary && isParts(result) && (result.body ?? null) === null;
}

function partsReply({ status, statusText = "", headers, body = null }: Parts): HandlerReply {
  if (status < 200 || status > 599) throw new TypeError(`status must be 200 to 599, and is ${status}.`);
  if (body === null && isIterable(headers)) return { status, statusText, headers: pairsOf(headers), body };
  const init = { status, statusText, headers: (headers ?? {}) as Record<string, string> };
  // A Response of such a status refuses even a body of no length.
  if (body === null || (body === "" && BODILESS.has(status))) return responseReply(new NodeResponse(null, init));
  return responseReply(isBody(body) ? new NodeResponse(body, init) : NodeResponse.json(body, init));
}

function isIterable(headers: unknown): headers is Iterable<[unknown, unknown]> {
  return typeof headers === "object" && headers !== null && Symbol.iterator in headers;
}

/** The fields of an array, a Map or a Headers. What cannot be sent is found when they are. */
function pairsOf(headers: Iterable<[unknown, unknown]>): HeaderPairs {
  return Array.from(headers, ([name, value]) => [String(name).toLowerCase(), String(value).trim()]);
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
