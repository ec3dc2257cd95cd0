/**
 * Response streaming of AWS Lambda: https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
 */
import { Writable } from "node:stream";
import { define } from "../../define.ts";
import { describeValue } from "../../describe.ts";
import type { HandlerCall, HandlerReply } from "../handler.ts";
import { WrittenReply } from "../written-reply.ts";
import type { Callback, LambdaContext } from "./lambda-context.ts";
import { lambdaReply } from "./lambda-result.ts";

export type StreamingFunction = (event: unknown, stream: Writable, context: LambdaContext) => unknown;

/** AWS's mark on handlers that stream, which some frameworks set themselves. */
const STREAMING = Symbol.for("aws.lambda.runtime.handler.streaming");

// Captured before tenant code.
const { from } = Buffer;

type Done = (error?: Error | null) => void;

/** The stream that a handler writes to. Status and header fields leave with the first write. */
class ResponseStream extends Writable {
  readonly #written: WrittenReply;
  #prelude: Record<string, unknown> = { statusCode: 200, headers: { "content-type": "application/octet-stream" } };

  constructor(written: WrittenReply) {
    super({ decodeStrings: false });
    this.#written = written;
  }

  setContentType(contentType: string): void {
    const { headers } = this.#prelude;
    this.#prelude = { ...this.#prelude, headers: { ...(headers as object), "content-type": contentType } };
  }

  /** @throws TypeError when it is none, or the reply has begun */
  static withPrelude(stream: unknown, prelude: unknown): ResponseStream {
    if (!(stream instanceof ResponseStream)) {
      throw new TypeError("HttpResponseStream.from needs the stream that the handler was given.");
    }
    if (typeof prelude !== "object" || prelude === null) {
      throw new TypeError(`HttpResponseStream.from needs { statusCode, headers }, and got ${describeValue(prelude)}.`);
    }
    if (stream.#written.hasBegun) throw new TypeError("HttpResponseStream.from was called after the first write.");
    const { statusCode = 200, headers, multiValueHeaders, cookies } = prelude as Record<string, unknown>;
    stream.#prelude = { statusCode, headers, multiValueHeaders, cookies };
    return stream;
  }

  override _write(chunk: string | Uint8Array, encoding: BufferEncoding, done: Done): void {
    this.#begin();
    this.#written.write(typeof chunk === "string" ? from(chunk, encoding) : from(chunk), () => done());
  }

  override _final(done: Done): void {
    this.#begin();
    this.#written.end();
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#written.fail(error ?? new Error("The handler destroyed its response stream before it had ended it."));
    done(error);
  }

  /** @throws TypeError that says what is wrong with status or header fields */
  #begin(): void {
    if (this.#written.hasBegun) return;
    const { body: _, ...start } = lambdaReply(this.#prelude);
    this.#written.begin(start);
  }
}

/** Defines `awslambda`, the global by which handlers say that they stream. */
export function defineAwsLambda(): void {
  const streamifyResponse = <Handler extends object>(handler: Handler): Handler => {
    if (typeof handler !== "function") {
      throw new TypeError(`streamifyResponse needs a function, and got ${describeValue(handler)}.`);
    }
    return Object.assign(handler, { [STREAMING]: "response" });
  };
  define(globalThis, "awslambda", { streamifyResponse, HttpResponseStream: { from: ResponseStream.withPrelude } });
}

/** Whether a handler writes its answer to a stream. */
export function isStreaming(handler: object): boolean {
  return (handler as Record<symbol, unknown>)[STREAMING] === "response";
}

/**
 * Calls a handler that streams, and gives its reply, which is complete when the stream has ended.
 * @param contextOf makes the context, whose ways to answer end the stream
 */
export async function streamingReply(
  handler: StreamingFunction,
  event: unknown,
  call: HandlerCall,
  contextOf: (answer: Callback) => LambdaContext,
): Promise<HandlerReply> {
  const written = new WrittenReply((reason) => stream.destroy(reason instanceof Error ? reason : undefined));
  const stream = new ResponseStream(written);
  stream.on("error", () => {});
  call.whenCancelled((reason) => void stream.destroy(reason));
  const context = contextOf((error, result) => {
    if (error !== null && error !== undefined) written.fail(error);
    else stream.end(result);
  });
  const work = follow(handler, [event, stream, context], written);
  try {
    return await written.reply;
  } finally {
    // Errors that the reply can tell are in it; work that goes on after it keeps the instance.
    call.waitUntil(work);
  }
}

async function follow(
  handler: StreamingFunction,
  given: Parameters<StreamingFunction>,
  written: WrittenReply,
): Promise<void> {
  try {
    await handler(...given);
  } catch (error) {
    if (written.isOver) throw error;
    written.fail(error);
  }
}
