/**
 * Handlers that are one function for each method: `export function GET(request) {...}`, and
 * `onRequestGet(context)` of Cloudflare Pages.
 */

import type { FunctionFacts, Handler } from "../handler.ts";
import { inWords } from "../words.ts";
import { type FetchFunction, fetchHandler } from "./fetch.ts";
import { contextHandler, eventHandler, takesContext, takesEvent } from "./request-event.ts";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const PAGES = "onRequest";

// Captured before tenant code.
const NodeResponse = Response;

type Methods = Map<string, Handler>;

/**
 * A handler around the exports that are named as methods; null when there is none. HEAD is answered
 * by GET, whose body stays behind, OPTIONS with what there is, and any other method that is not
 * exported with 405.
 */
export function methodsHandler(exported: Record<string, unknown>, facts: FunctionFacts): Handler | null {
  const methods: Methods = new Map();
  const names: string[] = [];
  for (const method of METHODS) {
    const name = [method, `${PAGES}${method[0]}${method.slice(1).toLowerCase()}`].find((one) =>
      isFunction(exported[one]),
    );
    if (name === undefined) continue;
    names.push(name);
    methods.set(method, handlerOf(exported[name] as FetchFunction, name, facts));
  }
  const any = isFunction(exported[PAGES]) ? handlerOf(exported[PAGES] as FetchFunction, PAGES, facts) : null;
  if (any !== null) names.push(PAGES);
  if (names.length === 0) return null;
  return inWords(byMethod(methods, any, facts), `fetch (${names.join(", ")})`);
}

function byMethod(methods: Methods, any: Handler | null, facts: FunctionFacts): Handler {
  const get = methods.get("GET");
  if (get !== undefined && !methods.has("HEAD")) methods.set("HEAD", get);
  const allow = METHODS.filter((method) => method === "OPTIONS" || methods.has(method)).join(", ");
  const none = fetchHandler(
    ({ method }) => new NodeResponse(null, { status: method === "OPTIONS" ? 204 : 405, headers: { allow } }),
    facts,
  );
  return (call) => (methods.get(call.request.method) ?? any ?? none)(call);
}

function handlerOf(handler: FetchFunction, name: string, facts: FunctionFacts): Handler {
  const isOfPages = name.startsWith(PAGES);
  if (!isOfPages && takesContext(handler)) return contextHandler(handler, facts);
  if (!isOfPages && !takesEvent(handler)) return fetchHandler(handler, facts);
  return eventHandler(handler as unknown as (event: object) => unknown, facts);
}

function isFunction(value: unknown): boolean {
  return typeof value === "function";
}
