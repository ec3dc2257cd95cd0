/** Handlers that are one function for each method: `export function GET(request) {...}`. */
import { type FetchFunction, fetchHandler } from "./fetch.ts";
import type { FunctionFacts, Handler } from "./handler.ts";
import { inWords } from "./words.ts";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

// Captured before tenant code.
const NodeResponse = Response;

type Methods = Map<string, FetchFunction>;

/**
 * A handler around the exports that are named as methods; null when there is none. HEAD is answered
 * by GET, whose body stays behind, OPTIONS with what there is, and any other method that is not
 * exported with 405.
 */
export function methodsHandler(exported: Record<string, unknown>, facts: FunctionFacts): Handler | null {
  const methods: Methods = new Map();
  for (const method of METHODS) {
    const found = exported[method];
    if (typeof found === "function") methods.set(method, found as FetchFunction);
  }
  if (methods.size === 0) return null;
  const words = `fetch (${[...methods.keys()].join(", ")})`;
  const get = methods.get("GET");
  if (get !== undefined && !methods.has("HEAD")) methods.set("HEAD", get);
  const allow = METHODS.filter((method) => method === "OPTIONS" || methods.has(method)).join(", ");
  const handler = fetchHandler((request, env, ctx) => {
    const found = methods.get(request.method);
    if (found !== undefined) return found(request, env, ctx);
    return new NodeResponse(null, { status: request.method === "OPTIONS" ? 204 : 405, headers: { allow } });
  }, facts);
  return inWords(handler, words);
}
