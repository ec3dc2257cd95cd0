/** AWS Lambda handlers, called as by API Gateway, or with an event that somebody sends. */
import { BadEvent } from "../event.ts";
import type { FunctionFacts, Handler, HandlerCall, HandlerReply } from "../handler.ts";
import { readJson } from "../json-text.ts";
import { isResponse } from "../response.ts";
import { type Callback, type LambdaContext, lambdaContext } from "./lambda-context.ts";
import type { makeEvent2 } from "./lambda-event.ts";
import { jsonReply, lambdaReply } from "./lambda-result.ts";
import { isStreaming, type StreamingFunction, streamingReply } from "./lambda-stream.ts";

export type LambdaFunction = (event: unknown, context: LambdaContext, callback: Callback) => unknown;
/** Makes the event for a request, of one of the formats. */
export type MakeEvent = (...given: Parameters<typeof makeEvent2>) => object;

// Captured before tenant code.
const { apply } = Reflect;
const { toString: sourceOf } = Function.prototype;
const { getPrototypeOf } = Object;
const { isArray } = Array;
const ordinary = Object.prototype;

/** What the text of a function has in it that answers by its context, at once or later. */
const CONTEXT_ANSWER = /\.\s*(?:succeed|fail|done)\b/;

/**
 * A handler around `export const handler = async (event, context) => ...`, one that takes a
 * callback or answers by its context, or one that writes its answer to a stream.
 * @param makeEvent makes the event of a request
 */
export function lambdaHandler(handler: LambdaFunction, facts: FunctionFacts, makeEvent: MakeEvent): Handler {
  const run = isStreaming(handler) ? streaming(handler, facts) : returning(handler, facts);
  const respond: Handler = async (call) =>
    run(makeEvent(call.request, await call.body.all(), facts), call, lambdaReply);
  respond.event = async (call) => run(readEvent(await call.body.all()), call, jsonReply);
  return respond;
}

/** Calls the function with an event; `reply` makes the reply out of a result. */
type Run = (event: unknown, call: HandlerCall, reply: (result: unknown) => HandlerReply) => Promise<HandlerReply>;

function streaming(handler: object, facts: FunctionFacts): Run {
  return (event, call) =>
    streamingReply(handler as StreamingFunction, event, call, (answer) => lambdaContext(call, facts, answer, () => {}));
}

function returning(handler: LambdaFunction, facts: FunctionFacts): Run {
  const mentionsContext = CONTEXT_ANSWER.test(apply(sourceOf, handler, []));
  return async (event, call, reply) => reply(await callFunction(handler, { call, facts, event }, mentionsContext));
}

/**
 * An event that somebody sent; nothing is an object without members, as in AWS.
 * @throws BadEvent for what is no JSON
 */
function readEvent(body: Buffer): unknown {
  if (body.length === 0) return {};
  try {
    return readJson(body);
  } catch (error) {
    throw new BadEvent(`The event is not JSON: ${error instanceof Error ? error.message : ""}`);
  }
}

interface Given {
  call: HandlerCall;
  facts: FunctionFacts;
  event: unknown;
}

/**
 * The first answer counts: of a promise that the function returned, of its callback, or of its
 * context. The result of a function that uses none of these is its answer.
 */
function callFunction(handler: LambdaFunction, { call, facts, event }: Given, mentionsContext: boolean): unknown {
  return new Promise((resolve, reject) => {
    const answer: Callback = (error, result) => {
      if (error === null || error === undefined) resolve(result);
      else reject(error);
    };
    let usesContext = mentionsContext;
    const context = lambdaContext(call, facts, answer, () => {
      usesContext = true;
    });
    const result = handler(event, context, answer);
    // And not `resolve(result)`, after which no other answer counts.
    if (isThenable(result)) result.then(resolve, reject);
    else if (handler.length < 3 && (!usesContext || isData(result))) resolve(result);
  });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === "function";
}

/** Whether it may be meant as an answer, which `undefined` and the result of setTimeout are not. */
function isData(result: unknown): boolean {
  if (typeof result !== "object" || result === null) return result !== undefined;
  const prototype = getPrototypeOf(result);
  return prototype === ordinary || prototype === null || isArray(result) || isResponse(result);
}
