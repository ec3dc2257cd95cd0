/** The common contract of all kinds of handlers. */
import type { HeaderPairs, Request as WireRequest } from "../../protocol/frames.ts";
import type { IncomingBody } from "../body.ts";

/** A handler's knowledge of its call, whatever its kind. */
export interface HandlerCall {
  readonly request: WireRequest;
  readonly body: IncomingBody;
  /**
   * Unix time in milliseconds at which the worker ends the call, to within what its messages take.
   */
  readonly deadlineMs: number;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /**
   * Calls the one listener there can be when nobody waits for the answer any more: at once if so.
   * Costs less than a signal.
   */
  whenCancelled(listener: (reason: Error) => void): void;
  /** Keeps the instance for this call until the promise settles. */
  readonly waitUntil: (promise: unknown) => void;
  /**
   * Has what follows in this turn of the event loop, and what comes of it, count as this call's.
   */
  enter(): void;
  /** Has this process end with the call, and begin no other. @param reason for the log */
  leave(reason: string): void;
}

/** The answer of a handler of any kind. */
export interface HandlerReply {
  status: number;
  /** The reason phrase that the function gave, if it gave one. */
  statusText?: string;
  headers: HeaderPairs;
  /** A stream gives Uint8Arrays and is read by nobody else. */
  body: Uint8Array | ReadableStream<unknown> | null;
}

/**
 * Calls the function. Rejects with what it throws, or with a TypeError that says what is wrong with
 * its result.
 */
export interface Handler {
  (call: HandlerCall): Promise<HandlerReply>;
  /** The handler that was found, for people: see words.ts. */
  words?: string;
  /**
   * Calls the function with the call's body as its event, and answers with its result in JSON.
   * Absent where the function takes a request and nothing else.
   */
  event?: (call: HandlerCall) => Promise<HandlerReply>;
}

/** The facts about a version that handlers hand on to the function. */
export interface FunctionFacts {
  functionName: string;
  version: string;
  memoryMiB: number;
  /** The configured environment. */
  env: Record<string, string>;
}
