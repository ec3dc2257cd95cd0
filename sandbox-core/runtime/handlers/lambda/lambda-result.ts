/**
 * Results of a Lambda handler, payload format 2.0 or a Response, and the replies that they mean.
 */
import type { HeaderPairs } from "../../../protocol/frames.ts";
import { describeValue } from "../../describe.ts";
import type { HandlerReply } from "../handler.ts";
import { isResponse, responseReply } from "../response.ts";

const { stringify } = JSON;
const { getPrototypeOf } = Object;
const ordinary = Object.prototype;

/**
 * The reply that a result means. A Response is one, and so is what has a `statusCode`; anything
 * else is the body of a 200 in JSON, a string as it is.
 * @throws TypeError that says what is wrong with it.
 */
export function lambdaReply(result: unknown): HandlerReply {
  if (isResponseResult(result)) return explicitReply(result);
  if (isResponse(result) && getPrototypeOf(result) !== ordinary) return responseReply(result);
  return typeof result === "string" ? jsonText(result) : jsonReply(result);
}

/**
 * The reply to an event: its result in JSON, and null for none.
 * @throws TypeError for what JSON cannot say
 */
export function jsonReply(result: unknown): HandlerReply {
  return jsonText(toJson(result));
}

function jsonText(text: string): HandlerReply {
  return { status: 200, headers: [["content-type", "application/json"]], body: Buffer.from(text) };
}

interface ResponseResult {
  statusCode: unknown;
  headers?: unknown;
  multiValueHeaders?: unknown;
  cookies?: unknown;
  body?: unknown;
  isBase64Encoded?: unknown;
}

function isResponseResult(result: unknown): result is ResponseResult {
  return typeof result === "object" && result !== null && "statusCode" in result && result.statusCode !== undefined;
}

function explicitReply(result: ResponseResult): HandlerReply {
  const status = Number(result.statusCode);
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new TypeError(`statusCode must be 200 to 599, and is ${describeValue(result.statusCode)}.`);
  }
  const fields = new Map<string, string[]>();
  takeHeaders(fields, "headers", result.headers);
  takeHeaders(fields, "multiValueHeaders", result.multiValueHeaders);
  const headers: HeaderPairs = [];
  for (const [name, values] of fields) for (const value of values) headers.push([name, value]);
  addCookies(headers, result.cookies);
  const body = decodeBody(result);
  if (body !== null && !fields.has("content-type")) headers.push(["content-type", "text/plain; charset=utf-8"]);
  return { status, headers, body };
}

/**
 * Takes fields over by name, whose case means nothing: the last of one name counts, and
 * `multiValueHeaders` above `headers`. Cookies add up, as cases of their name are a usual way to
 * set several.
 */
function takeHeaders(fields: Map<string, string[]>, member: string, given: unknown): void {
  if (given === undefined || given === null) return;
  if (typeof given !== "object") throw new TypeError(`${member} must be an object, and is ${describeValue(given)}.`);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null) continue;
    const field = name.toLowerCase();
    const values = (Array.isArray(value) ? value : [value]).map((one) => headerValue(name, one));
    const before = field === "set-cookie" ? (fields.get(field) ?? []) : [];
    fields.set(field, [...before, ...values.filter((one) => !before.includes(one))]);
  }
}

function headerValue(name: string, value: unknown): string {
  if (typeof value === "string") return value.trim();
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw new TypeError(`The header ${name} must be a string, and is ${describeValue(value)}.`);
}

function addCookies(headers: HeaderPairs, cookies: unknown): void {
  if (cookies === undefined || cookies === null) return;
  if (!Array.isArray(cookies)) throw new TypeError(`cookies must be an array, and is ${describeValue(cookies)}.`);
  for (const cookie of cookies) headers.push(["set-cookie", headerValue("set-cookie", cookie)]);
}

function decodeBody({ body, isBase64Encoded }: ResponseResult): Buffer | null {
  if (body === undefined || body === null) return null;
  if (typeof body !== "string") {
    throw new TypeError(`body must be a string, and is ${describeValue(body)}. Use JSON.stringify for an object.`);
  }
  return Buffer.from(body, isBase64Encoded === true ? "base64" : "utf8");
}

function toJson(result: unknown): string {
  try {
    return stringify(result) ?? "null";
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n", 1)[0] : "";
    throw new TypeError(`The handler's result cannot be written as JSON: ${reason}`, { cause: error });
  }
}
