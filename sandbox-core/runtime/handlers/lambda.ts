/** AWS Lambda handlers, called as by API Gateway's HTTP APIs, payload format 2.0. */

import type { FunctionFacts, Handler, HandlerCall } from "./handler.ts";
import { lambdaEvent } from "./lambda-event.ts";
import { lambdaReply } from "./lambda-result.ts";

type Callback = (error: unknown, result?: unknown) => void;
type LambdaFunction = (event: unknown, context: LambdaContext, callback: Callback) => unknown;

/** https://docs.aws.amazon.com/lambda/latest/dg/nodejs-context.html */
interface LambdaContext {
  functionName: string;
  functionVersion: string;
  invokedFunctionArn: string;
  memoryLimitInMB: string;
  awsRequestId: string;
  logGroupName: string;
  logStreamName: string;
  /** Accepted and without effect: the answer never waits for the event loop. */
  callbackWaitsForEmptyEventLoop: boolean;
  getRemainingTimeInMillis(): number;
}

const { now } = Date;

/**
 * A handler around `export const handler = async (event, context) => ...`, or one that takes a
 * callback.
 */
export function lambdaHandler(handler: LambdaFunction, facts: FunctionFacts): Handler {
  return async (call) => {
    const event = lambdaEvent(call.request, await call.body.all(), facts);
    return lambdaReply(await callFunction(handler, event, lambdaContext(call, facts)));
  };
}

/**
 * A promise counts; without one, a handler with three parameters answers by its callback, and any
 * other by its result.
 */
function callFunction(handler: LambdaFunction, event: object, context: LambdaContext): unknown {
  return new Promise((resolve, reject) => {
    const callback: Callback = (error, result) => {
      if (error === null || error === undefined) resolve(result);
      else reject(error);
    };
    const result = handler(event, context, callback);
    if (result !== undefined || handler.length < 3) resolve(result);
  });
}

function lambdaContext({ request, deadlineMs }: HandlerCall, facts: FunctionFacts): LambdaContext {
  return {
    functionName: facts.functionName,
    functionVersion: facts.version,
    invokedFunctionArn: `arn:sandpiper:lambda:local:0:function:${facts.functionName}`,
    memoryLimitInMB: String(facts.memoryMiB),
    awsRequestId: request.invocationId,
    logGroupName: `/sandpiper/${facts.functionName}`,
    logStreamName: facts.version,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, Math.floor(deadlineMs - now())),
  };
}
