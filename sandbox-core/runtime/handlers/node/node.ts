/** Handlers that take Node's request and response: `(req, res) => ...`. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { HeaderPairs } from "../../../protocol/frames.ts";
import { requestHeaders } from "../fetch/fetch.ts";
import type { Handler, HandlerCall } from "../handler.ts";
import { isResponse } from "../response.ts";
import { WrittenReply } from "../written-reply.ts";
import { BadBody, isBodyType } from "./node-helpers.ts";
import { type NodeObjects, nodeClasses, nodeObjects } from "./node-objects.ts";

export type NodeFunction = (req: IncomingMessage, res: ServerResponse) => unknown;

// Captured before tenant code.
const { setImmediate, clearImmediate } = globalThis;
const { from } = Buffer;

export interface NodeOptions {
  /** Whether the function finds every body in `req.rawBody`, and not those of some types alone. */
  wholeBody?: boolean;
}

/**
 * A handler around a function of Node's `(req, res)`, an application of Express or Connect among
 * them. The answer is what is written to `res`, and complete when `res` has ended. A promise that
 * the function returned may settle later, and keeps the instance until then.
 */
export function nodeHandler(nodeFunction: NodeFunction, options: NodeOptions = {}): Handler {
  nodeClasses();
  return async (call) => {
    const headers = requestHeaders(call.request.headers, call.request.traceparent);
    const body = await bodyHere(call, headers, options);
    const written = new WrittenReply(() => objects.connection.destroy());
    const objects = nodeObjects(call, withFraming(headers, call, body), body, written);
    const work = callFunction(nodeFunction, objects, written);
    endWithCall(call, objects);
    try {
      return await written.reply;
    } finally {
      if (work !== null && !(await isDoneSoon(work))) call.waitUntil(work.promise);
    }
  };
}

/** The work of a function that returned a promise. */
interface Work {
  /** Rejects with an error that the reply can tell no more. */
  promise: Promise<void>;
  isDone: boolean;
}

function callFunction(nodeFunction: NodeFunction, { req, res }: NodeObjects, written: WrittenReply): Work | null {
  let result: unknown;
  try {
    result = nodeFunction(req, res);
    if (!isThenable(result)) {
      refuseResponse(result, written);
      return null;
    }
  } catch (error) {
    giveUp(error, written);
    return null;
  }
  const work: Work = { promise: follow(result, written), isDone: false };
  work.promise.then(
    () => {
      work.isDone = true;
    },
    () => {},
  );
  return work;
}

async function follow(result: PromiseLike<unknown>, written: WrittenReply): Promise<void> {
  try {
    refuseResponse(await result, written);
  } catch (error) {
    giveUp(error, written);
  }
}

/** Ends the reply with an error. @throws the error when the reply is over */
function giveUp(error: unknown, written: WrittenReply): void {
  if (written.isOver) throw error;
  if (error instanceof BadBody && !written.hasBegun) {
    written.begin({ status: error.statusCode, headers: [["content-type", "text/plain; charset=utf-8"]] });
    written.write(from(error.message), () => {});
    written.end();
  } else written.fail(error);
}

/** @throws TypeError when a function that was given `res` returns a Response instead */
function refuseResponse(result: unknown, written: WrittenReply): void {
  if (written.hasBegun || !isResponse(result)) return;
  throw new TypeError(
    "The handler was called with Node's (req, res), as its parameters are named, and returned a Response. " +
      'Set "kind": "fetch" in sandpiper.jsonc for a handler that takes a Request.',
  );
}

/** Whether the work is done within this turn: most is, and then the call ends with its reply. */
function isDoneSoon(work: Work): Promise<boolean> {
  return new Promise((resolve) => {
    const turn = setImmediate(() => resolve(work.isDone));
    const done = () => {
      clearImmediate(turn);
      resolve(work.isDone);
    };
    work.promise.then(done, done);
  });
}

/**
 * Has the connection end when nobody waits for the answer, as when a client closes its socket. The
 * function has seen both objects by then.
 */
function endWithCall(call: HandlerCall, { req, connection }: NodeObjects): void {
  // Without a listener the error of a connection that broke off would be one that nobody caught.
  connection.on("error", () => {});
  call.whenCancelled((reason) => {
    connection.destroy(reason);
    req.destroy(reason);
  });
}

/**
 * All of a body that came with its request, or that `req.body` is to give; null when it is to be
 * read as it comes.
 */
function bodyHere(
  { request, body }: HandlerCall,
  headers: HeaderPairs,
  { wholeBody = false }: NodeOptions,
): Promise<Uint8Array> | Uint8Array | null {
  if (!request.bodyFollows) return request.body;
  return wholeBody || isBodyType(headerOf(headers, "content-type")) ? body.all() : null;
}

/**
 * The header fields with one that says that there is a body, which packages look for. The gateway
 * has taken off what was of its own connection.
 */
function withFraming(headers: HeaderPairs, { request }: HandlerCall, body: Uint8Array | null): HeaderPairs {
  if (body?.length === 0 && !request.bodyFollows) return headers;
  if (headerOf(headers, "content-length") !== undefined) return headers;
  return [...headers, body === null ? ["transfer-encoding", "chunked"] : ["content-length", String(body.length)]];
}

function headerOf(headers: HeaderPairs, name: string): string | undefined {
  return headers.find(([field]) => field === name)?.[1];
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === "function";
}
