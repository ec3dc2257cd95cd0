/** One call: from its request to `idle`. */
import {
  type CallNumber,
  encodeEnd,
  encodeFailed,
  encodeIdle,
  type Failure,
  type Request,
} from "../protocol/frames.ts";
import { IncomingBody } from "./body.ts";
import { eventReply } from "./handlers/event.ts";
import type { Handler, HandlerCall } from "./handlers/handler.ts";
import { RuntimeReply } from "./reply.ts";
import type { Outlet } from "./wire.ts";

// Captured before tenant code.
const OriginalAbortController = AbortController;
const { concat } = Buffer;
const { now } = Date;

/** The parts of the runtime that a call needs. */
export interface CallHost {
  readonly wire: Outlet;
  describe(error: unknown): Failure;
  /** Something of a call failed that no answer can tell any more. */
  logError(text: string): void;
  /** The reply is complete: nobody but the log hears of this call from here on. */
  replied(call: RuntimeCall): void;
  /** What follows in this turn comes of the call. */
  enter(call: RuntimeCall): void;
  /** This process begins no other call, and ends with the one that runs. */
  leave(): void;
  /** The call left nothing running. */
  idle(call: RuntimeCall): void;
}

export class RuntimeCall implements HandlerCall {
  readonly number: CallNumber;
  readonly request: Request;
  readonly deadlineMs: number;
  readonly body: IncomingBody;
  readonly #host: CallHost;
  readonly #sender: RuntimeReply;
  /** Made when a function asks for its signal, or there is something to tell it. */
  #abort: AbortController | null = null;
  /** Why nobody waits for the answer any more. */
  #cancelled: Error | null = null;
  #onCancel: ((reason: Error) => void) | null = null;
  #pending = 0;
  #over = false;

  /** @param limitMs how long the call may take from now on. */
  constructor(host: CallHost, request: Request, limitMs: number) {
    this.#host = host;
    this.deadlineMs = now() + limitMs;
    this.number = request.call;
    this.request = request;
    this.body = new IncomingBody(host.wire, request.body, request.bodyFollows);
    this.#sender = new RuntimeReply(host.wire, request.call, (frame) => this.#finish(frame));
  }

  get signal(): AbortSignal {
    this.#abort ??= new OriginalAbortController();
    return this.#abort.signal;
  }

  /** Calls the handler and sends what it answers. Never rejects. */
  async run(handler: Handler): Promise<void> {
    try {
      const reply = this.request.isEvent ? eventReply(handler, this) : handler(this);
      await this.#sender.send(await reply, this.request.method);
    } catch (error) {
      this.fail(error);
    }
  }

  /**
   * Answers with an error, as far as an answer is still possible; returns whether it was. A process
   * that is dying does not say `idle`: the worker would give it one more call.
   */
  fail(error: unknown, { dying = false } = {}): boolean {
    const { state } = this.#sender;
    if (state === "complete") return false;
    this.#sender.close();
    const failure = this.#host.describe(error);
    if (dying) this.#pending++; // As work that never ends, which keeps `idle` back.
    this.#finish([state === "unsent" ? encodeFailed(this.number, failure) : encodeEnd(this.number, failure)]);
    return true;
  }

  /** Nobody waits for the answer: tells the function so, by the signal and by its streams. */
  cancel(): void {
    const reason = new DOMException("Nobody waits for the answer of this call any more.", "AbortError");
    this.#abort ??= new OriginalAbortController();
    this.#abort.abort(reason);
    this.#cancelled = reason;
    this.#onCancel?.(reason);
    this.body.fail(reason);
    this.#sender.cancel(reason);
  }

  whenCancelled(listener: (reason: Error) => void): void {
    if (this.#cancelled === null) this.#onCancel = listener;
    else listener(this.#cancelled);
  }

  enter(): void {
    this.#host.enter(this);
  }

  leave(reason: string): void {
    this.#host.leave();
    this.#host.logError(reason);
  }

  /** A property and not a method, so that `const { waitUntil } = ctx` works. */
  readonly waitUntil = (promise: unknown): void => {
    if (this.#over) throw new Error("waitUntil was called after the end of its call.");
    this.#pending++;
    void this.#awaitWork(promise);
  };

  async #awaitWork(promise: unknown): Promise<void> {
    try {
      await promise;
    } catch (error) {
      const { name, message, stack } = this.#host.describe(error);
      this.#host.logError(`A promise given to waitUntil was rejected: ${stack || `${name}: ${message}`}`);
    }
    this.#pending--;
    if (this.#sender.state === "complete") this.#finish(null);
  }

  /**
   * Sends the frame that completes the reply, and in the same write that the call left nothing, if
   * so.
   */
  #finish(last: readonly Uint8Array[] | null): void {
    const { wire } = this.#host;
    this.#over = this.#pending === 0;
    if (!this.#over) {
      if (last !== null) wire.send(...last);
      if (last !== null) this.#host.replied(this);
      return;
    }
    this.body.discard();
    const idle = encodeIdle(this.number);
    if (last !== null) this.#host.replied(this);
    if (last === null) wire.send(idle);
    // One buffer is written in one go; a long body is not worth its copy.
    else if (last.length === 1) wire.send(concat([...last, idle]));
    else wire.send(...last, idle);
    this.#host.idle(this);
  }
}
