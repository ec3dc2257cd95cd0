/** Calls whose body is an event for the function itself. */
import type { Handler, HandlerCall, HandlerReply } from "./handler.ts";

// Captured before tenant code.
const { from } = Buffer;
const { stringify } = JSON;

/** A body that is no event. Its sender is answered, and no function is called. */
export class BadEvent extends Error {}

/** The answer of a handler to an event; to one that it cannot take, a 400 that says why. */
export async function eventReply(handler: Handler, call: HandlerCall): Promise<HandlerReply> {
  if (handler.event === undefined) {
    return refusal(call, `The function takes no events: its handler is ${handler.words}.`);
  }
  try {
    return await handler.event(call);
  } catch (error) {
    if (error instanceof BadEvent) return refusal(call, error.message);
    throw error;
  }
}

/** A refusal in the shape of the platform's errors: whoever sends events speaks to its API. */
function refusal({ request }: HandlerCall, message: string): HandlerReply {
  const error = { code: "EVENT_REFUSED", message, requestId: request.invocationId };
  return { status: 400, headers: [["content-type", "application/json"]], body: from(stringify({ error })) };
}
