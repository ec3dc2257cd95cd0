/** Which kind of handler a module exports. */
import { fetchHandler } from "./fetch.ts";
import type { FunctionFacts, Handler } from "./handler.ts";
import { lambdaHandler } from "./lambda.ts";
import { methodsHandler } from "./methods.ts";

type Exports = Record<string, unknown>;

/**
 * The handler that a module's exports are, in this order: a default export with a method `fetch`,
 * an export `handler` that is the default export too, a default export that is a function, an
 * export `handler`, exports named as methods. The last two may be on the default export as well,
 * which is how a bundle shows a CommonJS module. Where there is none of these, the only function
 * that is exported is an AWS Lambda handler, whatever its name.
 * @throws TypeError that lists what the module exports and what is accepted.
 */
export function detectHandler(namespace: object, facts: FunctionFacts): Handler {
  const exported = namespace as Exports;
  const main = unwrapCommonJs(exported.default);
  if (isObject(main) && typeof main.fetch === "function") return fetchHandler(main.fetch.bind(main), facts);
  const handler = exported.handler ?? (isObject(main) ? main.handler : undefined);
  if (typeof main === "function" && main !== handler) return fetchHandler(main as never, facts);
  if (typeof handler === "function") return lambdaHandler(handler as never, facts);
  const all = { ...(isObject(main) && main), ...exported };
  const methods = methodsHandler(all, facts);
  if (methods !== null) return methods;
  const only = onlyFunction(all);
  if (only !== null) return lambdaHandler(only as never, facts);
  throw new TypeError(
    `The module exports no handler. It exports ${describeExports(exported)}. ` +
      "Export one of: `export default { fetch(request, env, ctx) {...} }`, " +
      "`export default (request, env, ctx) => new Response(...)`, `export function GET(request) {...}`, `export const handler = async (event, context) => ...`. " +
      "A Lambda handler may have another name when no other function is exported.",
  );
}

/**
 * The one function among the exports that can be a handler, or null. A class is none, and neither
 * is the platform's hook.
 */
function onlyFunction(exported: Exports): unknown {
  const functions = Object.entries(exported)
    .filter(([name, value]) => name !== "afterRestore" && typeof value === "function" && !isClass(value))
    .map(([, value]) => value);
  return functions.length === 1 ? functions[0] : null;
}

function isClass(value: object): boolean {
  return /^class\b/.test(Function.prototype.toString.call(value));
}

/** The `export default` of TypeScript that was compiled to CommonJS. */
function unwrapCommonJs(main: unknown): unknown {
  return isObject(main) && main.__esModule === true && main.default !== undefined ? main.default : main;
}

function isObject(value: unknown): value is Exports {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

function describeExports(exported: Exports): string {
  const names = Object.keys(exported);
  if (names.length === 0) return "nothing";
  return names.map((name) => `${name} (${exported[name] === null ? "null" : typeof exported[name]})`).join(", ");
}
