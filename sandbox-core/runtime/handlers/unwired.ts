/** Modules whose only handlers are of events that nothing here sends yet. */
import type { Handler } from "./handler.ts";
import { textReply } from "./text-reply.ts";
import { inWords } from "./words.ts";

/** A handler for a module that exports such handlers and none of requests, which get a 501. */
export function unwiredHandler(names: readonly string[]): Handler {
  const named = names.join(", ");
  const handler: Handler = async () =>
    textReply(501, `This function answers no requests: it has ${named} alone, not wired yet.`);
  return inWords(handler, `${named}: not wired yet`);
}
