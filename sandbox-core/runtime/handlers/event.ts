/** Calls whose body is an event for the function itself. */
import type { Handler, HandlerCall, HandlerReply } from "./handler.ts";
import { textReply } from "./text-reply.ts";

/** A body that is no event. Its sender is answered, and no function is called. */
export class BadEvent extends Error {}

/** The answer of a handler to an event; to one that it cannot take, a 400 that says why. */
export async function eventReply(handler: Handler, call: HandlerCall): Promise<HandlerReply> {
  if (handler.event === undefined) {
    return textReply(400, `The function takes no events: its handler is ${handler.words}.`);
  }
  try {
    return await handler.event(call);
  } catch (error) {
    if (error instanceof BadEvent) return textReply(400, error.message);
    throw error;
  }
}
