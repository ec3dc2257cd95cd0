/** Which handler a module has, and of which kind. */
import type { HandlerKind } from "../../protocol/frames.ts";
import { appListener } from "./apps.ts";
import { isObject, ModuleExports } from "./exports.ts";
import { fetchHandler } from "./fetch.ts";
import type { FunctionFacts, Handler } from "./handler.ts";
import { kindOf } from "./kind.ts";
import { lambdaHandler } from "./lambda.ts";
import type { Registered } from "./listener.ts";
import { methodsHandler } from "./methods.ts";
import { nodeHandler } from "./node.ts";
import { inWords, wordsFor } from "./words.ts";

/** The configured answers to what is told from the exports otherwise. */
export interface HandlerWish {
  /** Name of the export. */
  handler: string | null;
  kind: HandlerKind | null;
}

/** What all ways to find a handler look at. */
interface Search {
  exported: ModuleExports;
  facts: FunctionFacts;
  registered: Registered;
}

type Factory = (handler: never, facts: FunctionFacts) => Handler;

const MAKE: Record<HandlerKind, Factory> = { fetch: fetchHandler, lambda: lambdaHandler, node: nodeHandler };

/**
 * The handler of a module, by what is configured, or else by what the module exports, in this
 * order: a default export with a method `fetch` or that is an application of Node's, an export
 * `handler` that is the default export too, a default export that is a function, an export
 * `handler`, an export `fetch`, exports named as methods. The last three may be on the default
 * export as well, which is how a bundle shows a CommonJS module. Where there is none of these, what
 * the module registered counts, and then the only function that is exported, whatever its name.
 * @throws TypeError that lists what the module exports and what is accepted.
 */
export function detectHandler(
  namespace: object,
  facts: FunctionFacts,
  wish: HandlerWish,
  registered: Registered,
): Handler {
  const search: Search = { exported: new ModuleExports(namespace), facts, registered };
  if (wish.handler !== null) return namedHandler(search, wish.handler, wish.kind);
  if (wish.kind !== null) return handlerOfKind(search, wish.kind);
  return foundHandler(search);
}

function foundHandler({ exported, facts, registered }: Search): Handler {
  const { main } = exported;
  const object = objectHandler(main, "default", facts);
  if (object !== null) return object;
  const handler = exported.named("handler");
  if (typeof main === "function" && main !== handler) return make(main, "default", "fetch", facts);
  if (typeof handler === "function") return make(handler, "handler", "lambda", facts);
  const fetch = exported.named("fetch");
  if (typeof fetch === "function") return inWords(fetchHandler(fetch as never, facts), "fetch");
  const methods = methodsHandler(exported.all(), facts);
  if (methods !== null) return methods;
  const listener = registered(facts);
  if (listener !== null) return listener;
  const only = exported.onlyFunction();
  if (typeof only === "function") return make(only, exported.nameOf(only), "lambda", facts);
  throw new TypeError(
    `The module exports no handler. It exports ${exported.describe()}. ` +
      "Export one of: `export default { fetch(request, env, ctx) {...} }`, " +
      "`export default (request, env, ctx) => new Response(...)`, `export function GET(request) {...}`, " +
      "`export const handler = async (event, context) => ...`, `export default (req, res) => res.end(...)`. " +
      'A handler may have another name when no other function is exported, or when "handler" in sandpiper.jsonc names it.',
  );
}

/** A handler of what is an object with a method for it; null for anything else. */
function objectHandler(main: unknown, exportName: string, facts: FunctionFacts): Handler | null {
  if (isObject(main) && typeof main.fetch === "function")
    return inWords(fetchHandler(main.fetch.bind(main), facts), wordsFor("fetch", exportName));
  const app = appListener(main);
  return app === null ? null : inWords(nodeHandler(app), wordsFor("node", exportName));
}

/** A handler around a function, of the kind that its parameters tell. */
function make(handler: object, exportName: string, otherwise: HandlerKind, facts: FunctionFacts): Handler {
  return makeOf(kindOf(handler) ?? otherwise, handler, exportName, facts);
}

function makeOf(kind: HandlerKind, handler: unknown, exportName: string, facts: FunctionFacts): Handler {
  return inWords(MAKE[kind](handler as never, facts), wordsFor(kind, exportName));
}

/** The export that the configuration names. @throws TypeError when it cannot be a handler */
function namedHandler({ exported, facts }: Search, name: string, kind: HandlerKind | null): Handler {
  const value = exported.named(name);
  if (kind === null) {
    const object = objectHandler(value, name, facts);
    if (object !== null) return object;
    if (typeof value === "function") return make(value, name, name === "default" ? "fetch" : "lambda", facts);
  } else {
    const handler = ofKind(value, kind);
    if (handler !== null) return makeOf(kind, handler, name, facts);
  }
  const what = value === undefined ? "no such export" : `an export of this name that cannot be one (${typeof value})`;
  throw new TypeError(
    `"handler" in sandpiper.jsonc is ${JSON.stringify(name)}${kind === null ? "" : ` and "kind" is "${kind}"`}, ` +
      `and the module has ${what}. It exports ${exported.describe()}.`,
  );
}

/** The export that can be of the kind that is configured. @throws TypeError when there is none */
function handlerOfKind({ exported, facts, registered }: Search, kind: HandlerKind): Handler {
  const main = ofKind(exported.main, kind);
  const handler = ofKind(exported.named("handler"), kind);
  const first = kind === "lambda" ? (handler ?? main) : (main ?? handler);
  if (kind === "fetch" && main === null) {
    const found = ofKind(exported.named("fetch"), kind);
    if (found !== null) return inWords(fetchHandler(found as never, facts), "fetch");
    const methods = methodsHandler(exported.all(), facts) ?? registered(facts);
    if (methods !== null) return methods;
  }
  const only = exported.onlyFunction();
  if (first !== null) return makeOf(kind, first, first === handler ? "handler" : "default", facts);
  if (only !== null) return makeOf(kind, only, exported.nameOf(only), facts);
  throw new TypeError(
    `"kind" in sandpiper.jsonc is "${kind}", and the module exports no such handler. ` +
      `It exports ${exported.describe()}. Name the export by "handler" in sandpiper.jsonc.`,
  );
}

/**
 * What of an export can be called as a handler of a kind: a function, or an object's method for it;
 * or null.
 */
function ofKind(value: unknown, kind: HandlerKind): unknown {
  if (kind === "fetch" && isObject(value) && typeof value.fetch === "function") return value.fetch.bind(value);
  if (typeof value === "function") return value;
  return kind === "node" ? appListener(value) : null;
}
