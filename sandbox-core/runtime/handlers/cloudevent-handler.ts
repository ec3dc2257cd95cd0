/** Handlers that take a CloudEvent: `(event) => ...`, or `(event, callback) => ...`. */
import { BadCloudEvent, type CloudEvent, cloudEventOf, structuredEvent } from "./cloudevent.ts";
import { requestHeaders } from "./fetch.ts";
import type { Handler, HandlerCall, HandlerReply } from "./handler.ts";
import { jsonReply } from "./lambda-result.ts";
import { plainReply } from "./plain-result.ts";
import { isResponse, responseReply } from "./response.ts";
import { textReply } from "./text-reply.ts";

export type CloudEventFunction = (event: CloudEvent, callback: (error?: unknown, result?: unknown) => void) => unknown;

/**
 * A handler around a function of CloudEvents. What the function returns is the answer; nothing is a
 * 204. What is no CloudEvent is answered without it.
 */
export function cloudEventHandler(handler: CloudEventFunction): Handler {
  const answer = async (
    call: HandlerCall,
    read: (body: Buffer) => CloudEvent,
    reply: (result: unknown) => HandlerReply,
  ): Promise<HandlerReply> => {
    let event: CloudEvent;
    try {
      event = read(await call.body.all());
    } catch (error) {
      if (error instanceof BadCloudEvent) return textReply(error.status, error.message);
      throw error;
    }
    const { traceparent } = call.request;
    return reply(await callFunction(handler, traceparent === null ? event : { ...event, traceparent }));
  };
  const respond: Handler = (call) => {
    const headers = requestHeaders(call.request.headers, null);
    return answer(call, (body) => cloudEventOf(headers, body), replyOf);
  };
  respond.event = (call) => answer(call, structuredEvent, jsonReply);
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
