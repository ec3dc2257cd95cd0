/** What was found in a module, in words: `deploy` shows them to whoever wrote it. */
import type { HandlerKind } from "../../protocol/frames.ts";
import { isObject } from "./exports.ts";
import type { Handler } from "./handler.ts";

const WORDS: Record<HandlerKind, string> = { fetch: "fetch", lambda: "lambda", node: "node (req, res)" };

/** Exports that other platforms call at other events than a request. */
const UNWIRED: Record<string, string> = {
  scheduled: "at times that are set",
  queue: "with messages of a queue",
  email: "with an e-mail",
  tail: "with the logs of others",
};

/** The same handler, which says from now on what it is. */
export function inWords(handler: Handler, words: string): Handler {
  handler.words = words;
  return handler;
}

/**
 * A handler of a kind, by the export that it was found at; the default export goes without saying.
 */
export function wordsFor(kind: HandlerKind, exportName: string): string {
  if (exportName === "default") return WORDS[kind];
  return kind === "node" ? `${WORDS.node}, ${exportName}` : `${WORDS[kind]} (${exportName})`;
}

/** Sentences about exports that are accepted and that nothing here calls yet. Never throws. */
export function unwiredExports(namespace: object): string[] {
  const { default: main } = namespace as { default?: unknown };
  return Object.entries(UNWIRED)
    .filter(([name]) => [namespace, main].some((place) => hasMethod(place, name)))
    .map(([name, when]) => `The export ${name} is not wired yet: nothing here calls it ${when}.`);
}

/** A getter of a CommonJS module may throw, and is nobody's concern until somebody needs it. */
function hasMethod(place: unknown, name: string): boolean {
  try {
    return isObject(place) && typeof place[name] === "function";
  } catch {
    return false;
  }
}
