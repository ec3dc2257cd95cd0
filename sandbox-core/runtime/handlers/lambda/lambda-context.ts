/**
 * The context of a Lambda handler:
 * https://docs.aws.amazon.com/lambda/latest/dg/nodejs-context.html
 */
import type { FunctionFacts, HandlerCall } from "../handler.ts";

export type Callback = (error: unknown, result?: unknown) => void;

export interface LambdaContext {
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
  /** The ways to answer before there were callbacks. */
  readonly done: Callback;
  readonly succeed: (result?: unknown) => void;
  readonly fail: (error?: unknown) => void;
}

const { now } = Date;

/**
 * The context of a call.
 * @param answer gets the call's result or error
 * @param onAsked told that the function has asked for a way to answer by the context
 */
export function lambdaContext(
  { request, deadlineMs }: HandlerCall,
  facts: FunctionFacts,
  answer: Callback,
  onAsked: () => void,
): LambdaContext {
  const asked = <Way>(way: Way): Way => {
    onAsked();
    return way;
  };
  const fail = (error?: unknown) => answer(error ?? new Error("The handler called context.fail without an error."));
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
    get done() {
      return asked(answer);
    },
    get succeed() {
      return asked((result?: unknown) => answer(null, result));
    },
    get fail() {
      return asked(fail);
    },
  };
}
