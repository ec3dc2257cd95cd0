/**
 * How a function wants to be called, by the names of its parameters: bundles keep them, and there
 * is no other difference between `(request, env)`, `(event, context)` and `(req, res)`.
 */
import type { HandlerKind } from "../../protocol/frames.ts";
import { isStreaming } from "./lambda-stream.ts";

// Captured before tenant code.
const { apply } = Reflect;
const { toString: sourceOf } = Function.prototype;

const EVENT = /^_*(?:event|evt)$/i;
const RESPONSE = /^_*(?:res|resp|response|reply|rsp|outgoing|serverResponse)$/i;
const CALLBACK = /^_*(?:callback|cb|done)$/i;

/** Most of a function's text that is looked at. */
const MAX_HEAD = 1_000;

/** The kind of a handler, or null when its parameters do not tell. */
export function kindOf(handler: object): HandlerKind | null {
  if (isStreaming(handler)) return "lambda";
  const [first = "", second = "", third = ""] = parameterNames(apply(sourceOf, handler, []).slice(0, MAX_HEAD));
  if (EVENT.test(first)) return "lambda";
  if (RESPONSE.test(second)) return "node";
  return CALLBACK.test(third) ? "lambda" : null;
}

/** The names of a function's parameters, by its text; one that is a pattern has none. */
export function parameterNames(source: string): string[] {
  const bare = /^(?:async\s+)?([\w$]+)\s*=>/.exec(source);
  if (bare !== null) return [bare[1] as string];
  const list = source.slice(source.indexOf("(") + 1);
  const names: string[] = [];
  let depth = 0;
  let name = "";
  for (const char of list.replace(/\/\*.*?\*\/|\/\/[^\n]*/gs, "")) {
    if (depth === 0 && (char === "," || char === ")")) {
      names.push(name.split("=", 1)[0]?.trim() ?? "");
      name = "";
      if (char === ")") break;
      continue;
    }
    if ("([{".includes(char)) depth++;
    if (")]}".includes(char)) depth--;
    name += char;
  }
  return names;
}
