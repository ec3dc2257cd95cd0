/**
 * Sentences about what a module has and will not get here: written for functions of another
 * platform, which run all the same.
 */
import { membersOf } from "./exports.ts";
import { unusedClass } from "./fetch/workers.ts";
import { parametersOf, textOf } from "./kind.ts";
import { ownCode } from "./own-code.ts";

/** Exports that other platforms call at other events than a request. */
const UNWIRED: Record<string, string> = {
  scheduled: "at times that are set",
  queue: "with messages of a queue",
  email: "with an e-mail",
  tail: "with the logs of others",
};
/** Parameters of Lambda's, second and first: an export of such a name may be its handler. */
const CONTEXT = /^_*(?:context|ctx)$/i;
const EVENT = /^_*(?:event|evt)$/i;

/** What Cloudflare binds to the environment, by methods that are called on it. */
const BINDINGS: [methods: string, what: string][] = [
  ["prepare|batch|exec|dump", "a D1 database"],
  ["idFromName|idFromString|newUniqueId|getByName", "Durable Objects"],
  ["get|put|list|delete|head|getWithMetadata", "a KV namespace or an R2 bucket"],
  ["send|sendBatch", "a queue"],
  ["fetch", "a service or assets"],
  ["run", "Workers AI"],
  ["query|insert|upsert", "a Vectorize index"],
  ["create", "a Workflow"],
  ["writeDataPoint", "Analytics Engine"],
];
const ENV = "env.";
/** What may follow `env.`; sticky, as a search through megabytes takes its time. */
const METHOD_OF_BINDING = new RegExp(`([A-Z][A-Z0-9_]*)\\.(${BINDINGS.map(([methods]) => methods).join("|")})\\(`, "y");
/** Most sentences about bindings. */
const MAX_BINDINGS = 8;

/**
 * The remarks on a module that was loaded. Never throws, whatever its exports do.
 * @param code the module's text
 * @param env its environment, which has texts alone
 */
export function remarksOn(namespace: object, code: string, env: Record<string, string>): string[] {
  const { default: main } = namespace as { default?: unknown };
  const exported = { ...functionsOf(main), ...functionsOf(namespace) };
  return [...unwiredExports(exported), ...unusedClasses(exported), ...lackingBindings(ownCode(code), env)];
}

/** The functions among an object's members. */
function functionsOf(place: unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(membersOf(place)).filter(([, value]) => typeof value === "function"));
}

/** The names of exports that are accepted, and that nothing here calls yet. */
export function unwiredNames(exported: Record<string, unknown>): string[] {
  return Object.keys(UNWIRED).filter((name) => {
    const value = exported[name];
    if (typeof value !== "function") return false;
    const [first = "", second = ""] = parametersOf(textOf(value));
    return !CONTEXT.test(second) && (name === "scheduled" || !EVENT.test(first));
  });
}

function unwiredExports(exported: Record<string, unknown>): string[] {
  return unwiredNames(exported).map(
    (name) => `The export ${name} is not wired yet: nothing here calls it ${UNWIRED[name]}.`,
  );
}

function unusedClasses(exported: Record<string, unknown>): string[] {
  return Object.entries(exported).flatMap(([name, value]) => {
    const what = unusedClass(value);
    if (what === null) return [];
    return `The export ${name} is ${what}, which nothing here makes: keep state outside of functions, and remove the export.`;
  });
}

function lackingBindings(code: string, env: Record<string, string>): string[] {
  const found = new Map<string, string>();
  for (let at = code.indexOf(ENV); at >= 0 && found.size < MAX_BINDINGS; at = code.indexOf(ENV, at + 1)) {
    METHOD_OF_BINDING.lastIndex = at + ENV.length;
    const [, name = "", method = ""] = METHOD_OF_BINDING.exec(code) ?? [];
    if (name !== "" && !(name in env)) found.set(`env.${name}.${method}`, method);
  }
  return [...found].map(([call, method]) => {
    const what = BINDINGS.find(([methods]) => methods.split("|").includes(method))?.[1];
    return `${call}(...) is called, and there is no such binding here (${what}): env has the texts of "env" in sandpiper.jsonc alone, so the call fails.`;
  });
}
