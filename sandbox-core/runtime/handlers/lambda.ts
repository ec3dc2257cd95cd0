/** AWS Lambda handlers, called as by API Gateway's HTTP APIs, payload format 2.0. */
import type { FunctionFacts, Handler, HandlerCall } from "./handler.ts";
import { type Callback, type LambdaContext, lambdaContext } from "./lambda-context.ts";
import { lambdaEvent } from "./lambda-event.ts";
import { lambdaReply } from "./lambda-result.ts";
import { isStreaming, type StreamingFunction, streamingReply } from "./lambda-stream.ts";
import { isResponse } from "./response.ts";

export type LambdaFunction = (event: unknown, context: LambdaContext, callback: Callback) => unknown;

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
 */
export function lambdaHandler(handler: LambdaFunction, facts: FunctionFacts): Handler {
  if (isStreaming(handler)) {
    return async (call) => {
      const event = lambdaEvent(call.request, await call.body.all(), facts);
      return streamingReply(handler as unknown as StreamingFunction, event, call, (answer) =>
        lambdaContext(call, facts, answer, () => {}),
      );
    };
  }
  const mentionsContext = CONTEXT_ANSWER.test(apply(sourceOf, handler, []));
  return async (call) => {
    const event = lambdaEvent(call.request, await call.body.all(), facts);
    return lambdaReply(await callFunction(handler, { call, facts, event }, mentionsContext));
  };
}

interface Given {
  call: HandlerCall;
  facts: FunctionFacts;
  event: object;
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
