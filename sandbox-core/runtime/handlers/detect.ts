/** Which handler a module has, and of which kind. */
import type { HandlerKind } from "../../protocol/frames.ts";
import { cloudEventHandler } from "./cloudevent-handler.ts";
import { isObject, ModuleExports } from "./exports.ts";
import { fetchHandler } from "./fetch/fetch.ts";
import { methodsHandler } from "./fetch/methods.ts";
import { contextHandler, takesContext } from "./fetch/request-event.ts";
import { entrypointFetch, inCallOfWorkers } from "./fetch/workers.ts";
import type { FunctionFacts, Handler } from "./handler.ts";
import { type ExportKind, kindOf, lambdaKindOf } from "./kind.ts";
import { lambdaHandler } from "./lambda/lambda.ts";
import { makeEvent2 } from "./lambda/lambda-event.ts";
import { makeEvent1 } from "./lambda/lambda-event-1.ts";
import { appListener } from "./node/apps.ts";
import { nodeHandler } from "./node/node.ts";
import type { Registrations } from "./registrations.ts";
import { unwiredNames } from "./remarks.ts";
import { FEW_LOOKS, MOST_LOOKS, type Startup } from "./server/server-start.ts";
import { unwiredHandler } from "./unwired.ts";
import { inWords, wordsFor } from "./words.ts";

/** The configured answers to what is told from the exports otherwise. */
export interface HandlerWish {
  /** Name of the export. */
  handler: string | null;
  kind: HandlerKind | null;
}

/** A module's ways to have a handler besides exporting it. */
export interface Deeds {
  registrations: Registrations;
  /** Whether it listens, or will; null for a module that does not even mention it. */
  startup: Startup | null;
}

/** What all ways to find a handler look at. */
interface Search extends Deeds {
  exported: ModuleExports;
  facts: FunctionFacts;
}

type Factory = (handler: never, facts: FunctionFacts) => Handler;

const MAKE: Record<ExportKind, Factory> = {
  fetch: (handler, facts) => (takesContext(handler) ? contextHandler(handler, facts) : fetchHandler(handler, facts)),
  lambda: (handler, facts) => lambdaHandler(handler, facts, makeEvent2),
  "lambda-1.0": (handler, facts) => lambdaHandler(handler, facts, makeEvent1),
  node: (handler) => nodeHandler(handler),
  cloudevent: cloudEventHandler,
};

/**
 * The handler of a module, by what is configured, or else by what the module exports, in this
 * order: a default export with a method `fetch`, a class of such or an application of Node's, an
 * export `handler` that is the default export too, a default export that is a function, an export
 * `handler`, an export `fetch`, exports named as methods. The last three may be on the default
 * export as well, which is how a bundle shows a CommonJS module. Where there is none of these, what
 * the module registered counts, then a server that listens, for which this waits as long as there
 * is hope, and then the only function that is exported, whatever its name.
 * @throws TypeError that lists what the module exports and what is accepted.
 */
export async function detectHandler(
  namespace: object,
  facts: FunctionFacts,
  wish: HandlerWish,
  deeds: Deeds,
): Promise<Handler> {
  const search: Search = { exported: new ModuleExports(namespace), facts, ...deeds };
  return inCallOfWorkers(await wishedHandler(search, wish));
}

async function wishedHandler(search: Search, { handler, kind }: HandlerWish): Promise<Handler> {
  if (kind === "server") return configuredServer(search, handler);
  if (handler !== null) return namedHandler(search, handler, kind);
  if (kind !== null) return handlerOfKind(search, kind);
  return exportedHandler(search) ?? (await serverOrOnlyFunction(search));
}

function exportedHandler({ exported, facts, registrations }: Search): Handler | null {
  const { main } = exported;
  const object = objectHandler(main, "default", facts);
  if (object !== null) return object;
  const handler = exported.named("handler");
  if (typeof main === "function" && main !== handler) return make(main, "default", facts);
  if (typeof handler === "function") return make(handler, "handler", facts);
  return exportedFetch(exported, facts) ?? registeredHandler(registrations, facts);
}

/** An export of any name may be what starts the server: so that comes first. */
async function serverOrOnlyFunction({ exported, facts, startup }: Search): Promise<Handler> {
  const unwired = unwiredNames(exported.all());
  const only = exported.onlyFunction(unwired);
  const isLast = only === null && unwired.length === 0;
  const server = await startup?.server(isLast ? MOST_LOOKS : FEW_LOOKS);
  if (server) return server;
  if (only !== null) return make(only[1], only[0], facts);
  if (unwired.length > 0) return unwiredHandler(unwired);
  throw new TypeError(
    `The module exports no handler. It exports ${exported.describe()}. ` +
      "Export one of: `export default { fetch(request, env, ctx) {...} }`, " +
      "`export default (request, env, ctx) => new Response(...)`, `export function GET(request) {...}`, " +
      "`export const handler = async (event, context) => ...`, `export default (req, res) => res.end(...)`. " +
      "Or have a server listen: none does. " +
      'A handler may have another name when no other function is exported, or when "handler" in sandpiper.jsonc names it.',
  );
}

/** @throws TypeError when no server listens */
async function configuredServer({ exported, startup }: Search, name: string | null): Promise<Handler> {
  if (name !== null) {
    throw new TypeError('"handler" in sandpiper.jsonc names an export, and a handler of the "kind" "server" is none.');
  }
  const server = await startup?.server(MOST_LOOKS);
  if (server) return server;
  throw new TypeError(
    `"kind" in sandpiper.jsonc is "server", and the module does not listen. It exports ${exported.describe()}. ` +
      "Listen while the module is loaded, or soon after: `createServer(...).listen(process.env.PORT)`.",
  );
}

/** A handler of what is an object with a method for it; null for anything else. */
function objectHandler(value: unknown, name: string, facts: FunctionFacts): Handler | null {
  const fetch = isObject(value) && typeof value.fetch === "function" ? value.fetch.bind(value) : entrypointFetch(value);
  if (fetch !== null) return inWords(fetchHandler(fetch, facts), wordsFor("fetch", name));
  const app = appListener(value);
  return app === null ? null : inWords(nodeHandler(app), wordsFor("node", name));
}

/** A handler of an export `fetch`, or of those named as methods; null when there is none. */
function exportedFetch(exported: ModuleExports, facts: FunctionFacts): Handler | null {
  const fetch = exported.named("fetch");
  if (typeof fetch === "function") return ofKind("fetch", "fetch", fetch, facts);
  return methodsHandler(exported.all(), facts);
}

/**
 * What the module registered: a listener, or its only function with a name, or the one that the
 * environment names for functions-framework. @throws TypeError when that leaves several
 */
function registeredHandler({ listener, named }: Registrations, facts: FunctionFacts): Handler | null {
  const listening = listener(facts);
  if (listening !== null || named.size === 0) return listening;
  const target = named.get(facts.env.FUNCTION_TARGET ?? "");
  if (target !== undefined) return target;
  const [only] = named.values();
  if (named.size === 1 && only !== undefined) return only;
  throw new TypeError(
    `The module registers ${[...named.keys()].join(", ")}: name one by "handler" in sandpiper.jsonc.`,
  );
}

/** A handler around an exported function, of the kind that its text tells. */
function make(handler: object, name: string, facts: FunctionFacts): Handler {
  const kind = kindOf(handler) ?? (name === "default" ? "fetch" : lambdaKindOf(handler));
  return ofKind(kind, name, handler, facts);
}

function ofKind(kind: ExportKind, name: string, handler: unknown, facts: FunctionFacts): Handler {
  return inWords(MAKE[kind](handler as never, facts), wordsFor(kind, name));
}

/** The export that the configuration names. @throws TypeError when it cannot be a handler */
function namedHandler({ exported, facts, registrations }: Search, name: string, kind: ExportKind | null): Handler {
  const registered = registrations.named.get(name);
  if (registered !== undefined) return registered;
  const value = exported.named(name);
  if (kind === null) {
    const object = objectHandler(value, name, facts);
    if (object !== null) return object;
    if (typeof value === "function") return make(value, name, facts);
  } else {
    const handler = callable(value, kind);
    if (handler !== null) return ofKind(kind, name, handler, facts);
  }
  const what = value === undefined ? "no such export" : `an export of this name that cannot be one (${typeof value})`;
  throw new TypeError(
    `"handler" in sandpiper.jsonc is ${JSON.stringify(name)}${kind === null ? "" : ` and "kind" is "${kind}"`}, ` +
      `and the module has ${what}. It exports ${exported.describe()}.`,
  );
}

/** The export that can be of the kind that is configured. @throws TypeError when there is none */
function handlerOfKind({ exported, facts, registrations }: Search, kind: ExportKind): Handler {
  const main = callable(exported.main, kind);
  const handler = callable(exported.named("handler"), kind);
  const names: [string, unknown][] = [
    ["default", main],
    ["handler", handler],
  ];
  if (kind.startsWith("lambda")) names.reverse();
  if (kind === "fetch" && main === null) {
    const found = exportedFetch(exported, facts) ?? registrations.listener(facts);
    if (found !== null) return found;
  }
  const [name, chosen] = names.find(([, value]) => value !== null) ?? exported.onlyFunction() ?? ["", null];
  if (chosen !== null) return ofKind(kind, name, chosen, facts);
  throw new TypeError(
    `"kind" in sandpiper.jsonc is "${kind}", and the module exports no such handler. ` +
      `It exports ${exported.describe()}. Name the export by "handler" in sandpiper.jsonc.`,
  );
}

/**
 * What of an export can be called as a handler of a kind: a function, or an object's method for it;
 * or null.
 */
function callable(value: unknown, kind: ExportKind): unknown {
  if (kind === "fetch") {
    if (isObject(value) && typeof value.fetch === "function") return value.fetch.bind(value);
    const fetch = entrypointFetch(value);
    if (fetch !== null) return fetch;
  }
  if (typeof value === "function") return value;
  return kind === "node" ? appListener(value) : null;
}
