/** A Response as a reply, whoever made it. */
import type { HeaderPairs } from "../../protocol/frames.ts";
import { takePlainParts } from "../fetch/response.ts";
import type { HandlerReply } from "./handler.ts";

// A function that replaces this global gets what it wants, and we keep what we need.
const NodeResponse = Response;

/** Whether it is a Response, be it Node's or of a package that the function brought along. */
export function isResponse(value: unknown): value is Response {
  if (value instanceof NodeResponse) return true;
  if (typeof value !== "object" || value === null) return false;
  const { status, headers, body } = value as Partial<Response>;
  return (
    typeof status === "number" &&
    typeof headers?.[Symbol.iterator] === "function" &&
    (body === null || typeof body?.getReader === "function")
  );
}

/** The reply that a Response means. @throws TypeError that says why it means none */
export function responseReply(response: Response): HandlerReply {
  const plain = takePlainParts(response);
  if (plain !== null) return plain;
  const { status, statusText, body } = response;
  if (status < 200 || status > 599) throw new TypeError(`The handler returned a Response with the status ${status}.`);
  if (response.bodyUsed || body?.locked) {
    throw new TypeError("The handler returned a Response whose body was read already, or is being read.");
  }
  const headers: HeaderPairs = [];
  // Classes of packages may keep names as they were written.
  for (const [name, value] of response.headers) headers.push([name.toLowerCase(), value]);
  return { status, statusText, headers, body };
}
