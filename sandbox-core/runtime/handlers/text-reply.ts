/** Answers of the platform's own, in the place of a function's. */
import type { HandlerReply } from "./handler.ts";

const { from } = Buffer;

/** A sentence as a reply. */
export function textReply(status: number, sentence: string): HandlerReply {
  return { status, headers: [["content-type", "text/plain; charset=utf-8"]], body: from(`${sentence}\n`) };
}
