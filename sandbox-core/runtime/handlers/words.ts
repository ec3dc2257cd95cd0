/** The handler that was found in a module, in words: `deploy` shows them to whoever wrote it. */
import type { HandlerKind } from "../../protocol/frames.ts";
import type { Handler } from "./handler.ts";

const WORDS: Record<HandlerKind, string> = {
  fetch: "fetch",
  lambda: "lambda",
  "lambda-1.0": "lambda-1.0",
  node: "node (req, res)",
  cloudevent: "cloudevent",
  server: "server",
};

/** The same handler, which says from now on what it is. */
export function inWords(handler: Handler, words: string): Handler {
  handler.words = words;
  return handler;
}

/**
 * A handler of a kind, and the name of its export; the default export goes without saying, and so
 * does `fetch`.
 */
export function wordsFor(kind: HandlerKind, name: string): string {
  if (name === "default" || name === kind) return WORDS[kind];
  return kind === "node" ? `${WORDS.node}, ${name}` : `${WORDS[kind]} (${name})`;
}
