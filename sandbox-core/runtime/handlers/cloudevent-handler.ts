/** Handlers that take a CloudEvent: `(event) => ...`, or `(event, callback) => ...`. */
import { BadCloudEvent, type CloudEvent, cloudEventOf, structuredEvent } from "./cloudevent.ts";
import { requestHeaders } from "./fetch/fetch.ts";
import { plainReply } from "./fetch/plain-result.ts";
import type { Handler, HandlerCall, HandlerReply } from "./handler.ts";
import { jsonReply } from "./lambda/lambda-result.ts";
import { isResponse, responseReply } from "./response.ts";
import { textReply } from "./text-reply.ts";

export type CloudEventFunction = (event: CloudEvent, callback: (error?: unknown, result?: unknown) => void) => unknown;

/**
 * A handler around a function of CloudEvents. What the function returns is the answer; nothing is a
 * 204. What is no CloudEvent is answered without it.
 */
export function cloudEventHandler(handler: CloudEventFunction): Handler {
  const run = ({ request }: HandlerCall, event: CloudEvent): Promise<unknown> => {
    const { traceparent } = request;
    return callFunction(handler, traceparent === null ? event : { ...event, traceparent });
  };
  const respond: Handler = async (call) => {
    const headers = requestHeaders(call.request.headers, null);
    const body = await call.body.all();
    try {
      return replyOf(await run(call, cloudEventOf(headers, body)));
    } catch (error) {
      if (error instanceof BadCloudEvent) return textReply(error.status, error.message);
      throw error;
    }
  };
  respond.event = async (call) => jsonReply(await run(call, structuredEvent(await call.body.all())));
  return respond;
}

function callFunction(handler: CloudEventFunction, event: CloudEvent): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const result = handler(event, (error, value) => {
      if (error === null || error === undefined) resolve(value);
      else reject(error);
    });
    // A function that takes a callback and returns nothing answers by the callback.
    if (handler.length < 2 || (typeof result === "object" && result !== null)) resolve(result);
  });
}

function replyOf(result: unknown): HandlerReply {
  if (result === undefined || result === null) return { status: 204, headers: [], body: null };
  return isResponse(result) ? responseReply(result) : plainReply(result);
}
