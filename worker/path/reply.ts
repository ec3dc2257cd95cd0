/**
 * The reply to one call: gathers the function's reply within limits, sends it, and says how the
 * call ended.
 */
import { statusOf } from "../../functions/model/errors.ts";
import type {
  HeaderPairs,
  Invocation,
  InvocationRecord,
  Outcome,
  PublicError,
  Reply,
  ThrownError,
} from "../../functions/model/invocation.ts";
import type { UsageCounts } from "../../functions/model/usage.ts";
import { MIB } from "../../infra/std/bytes.ts";
import type { Failure, Head } from "../../sandbox-core/protocol/frames.ts";
import type { Usage } from "../instance/call.ts";
import { CallFailure, type Cause } from "../outcome/outcome.ts";
import { type Start, WARM } from "../pool/instance-lease.ts";
import { Pieces } from "./pieces.ts";
import type { Step } from "./spans.ts";

export interface ReplyLimits {
  /** Most bytes of a reply that is buffered, and of one that is streamed. */
  maxReplyBytes: number;
  maxStreamBytes: number;
}

export interface CallReplyOptions {
  limits: ReplyLimits;
  sendReply(gatewayId: string, reply: Reply): void;
}

type Body = ReturnType<Pieces["take"]>;

/** Every way to end a call passes here; the first one counts, and the client hears of it once. */
export class CallReply {
  readonly #options: CallReplyOptions;
  readonly #invocation: Invocation;
  readonly #takenAtMs = Date.now();
  #start: Start = WARM;
  #handlerStartedMs = 0;
  #handlerMs = 0;
  #head: Head | null = null;
  /** What came of the body and was not sent. */
  #body = new Pieces();
  #bytes = 0;
  #status = 0;
  #outcome: Outcome | null = null;
  #error: PublicError | undefined;
  #thrown: ThrownError | undefined;

  constructor(invocation: Invocation, options: CallReplyOptions) {
    this.#invocation = invocation;
    this.#options = options;
  }

  /** null while the call has not ended. */
  get outcome(): Outcome | null {
    return this.#outcome;
  }

  /** Whether the reply's pieces are passed on as they come. */
  get isStreaming(): boolean {
    return this.#head?.streaming === true;
  }

  /** Bytes of the body that have come. */
  get bytes(): number {
    return this.#bytes;
  }

  get status(): number {
    return this.#status;
  }

  /** Notes that the handler begins now, and how the lease got its instance. */
  begin(start: Start): void {
    this.#start = start;
    this.#handlerStartedMs = performance.now();
  }

  /**
   * Takes the head of the function's reply; one that streams is passed on at once. Returns a limit
   * that it exceeds.
   */
  head(head: Head): Cause | null {
    if (this.#outcome !== null) return null;
    this.#head = head;
    this.#status = head.status;
    if (!head.streaming) return this.chunk(head.body);
    this.#handlerMs = performance.now() - this.#handlerStartedMs;
    this.#bytes = head.body.length;
    this.#sendHead("ok", head.status, head.headers, head, true);
    return null;
  }

  /** Takes a piece of its body; one of nothing is none. Returns a limit that it exceeds. */
  chunk(bytes: Uint8Array): Cause | null {
    if (bytes.length === 0 || this.#outcome !== null) return null;
    const streaming = this.isStreaming;
    const limitBytes = streaming ? this.#options.limits.maxStreamBytes : this.#options.limits.maxReplyBytes;
    this.#bytes += bytes.length;
    if (this.#bytes > limitBytes) {
      if (!streaming) this.#body.take();
      const limitName = streaming ? "SANDPIPER_MAX_STREAM_BYTES" : "SANDPIPER_MAX_REPLY_BYTES";
      return { by: "reply_limit", limitBytes, limitName };
    }
    // What came in one piece from the sandbox goes in one, however small its parts are.
    if (streaming && this.#body.isEmpty) process.nextTick(() => this.#outcome === null && this.#passOn());
    this.#body.add(bytes);
    return null;
  }

  /** Sends what has come of a stream. */
  #passOn(): void {
    if (!this.#body.isEmpty) this.#send({ kind: "chunk", id: this.#invocation.id, ...this.#body.take() });
  }

  /**
   * The function has said all that it will: the handler's time is over, unless its reply streams
   * and it was before.
   */
  stopClock(): void {
    if (this.#handlerMs === 0 && this.#handlerStartedMs > 0)
      this.#handlerMs = performance.now() - this.#handlerStartedMs;
  }

  /** Ends the call with what the function said last. */
  finish(failure: Failure | null, step?: Step): void {
    if (failure !== null && this.#invocation.isEvent) this.#thrown = thrownError(failure);
    if (failure !== null) this.fail(new CallFailure("function_error", "FUNCTION_ERROR"), step);
    if (this.#outcome !== null) this.#describe(step);
    if (this.#outcome !== null || this.#head === null) return;
    this.#outcome = "ok";
    this.#describe(step);
    if (this.#head.streaming) {
      this.#passOn();
      this.#send({ kind: "end", id: this.#invocation.id, outcome: "ok" });
      return;
    }
    this.stopClock();
    this.#sendHead("ok", this.#head.status, this.#head.headers, this.#body.take(), false);
  }

  /** Ends the call without a reply of its function. A reply that streams breaks off. */
  fail({ outcome, public: error, code }: CallFailure, step?: Step): void {
    if (this.#outcome !== null) return;
    this.#outcome = outcome;
    this.#error = error;
    this.#describe(step);
    const isCancelled = outcome === "cancelled";
    if (isCancelled) this.stopClock();
    if (isCancelled && !this.#head?.streaming) this.#status = statusOf(code);
    // The client of a cancelled call has left, and its gateway need only know that the call is
    // over.
    if (isCancelled || this.#head?.streaming) {
      if (!isCancelled) this.#passOn();
      this.#send({ kind: "end", id: this.#invocation.id, outcome, error });
      return;
    }
    this.stopClock();
    this.#status = statusOf(code);
    this.#sendHead(outcome, this.#status, [], NO_BODY, false);
  }

  /**
   * The charge of the call, once nothing of it runs any more: memory from the beginning of
   * its handler until now. null when its handler never began.
   * @param bytesIn of the request's body
   */
  used({ cpuMs, peakMemoryBytes }: Usage, bytesIn: number): Omit<UsageCounts, "calls"> | null {
    if (this.#handlerStartedMs === 0) return null;
    const ranMs = performance.now() - this.#handlerStartedMs;
    const memoryMibMs = (peakMemoryBytes / MIB) * ranMs;
    return { cpuUs: cpuMs * 1_000, memoryMibMs, bytesIn, bytesOut: this.#bytes };
  }

  /** The record of the call, once it has ended. */
  record(usage: Usage, traceId?: string): InvocationRecord {
    const { tenant, functionName, version, id } = this.#invocation;
    return {
      ...{ tenant, functionName, version, id },
      outcome: this.#outcome ?? "platform_error",
      ...(this.#error && { error: this.#error }),
      status: this.#status,
      ...(this.#handlerStartedMs > 0 ? { ran: "yes", start: this.#start.kind } : { ran: "no" }),
      timing: this.#timing(),
      ...usage,
      startedAtMs: this.#takenAtMs,
      endedAtMs: Date.now(),
      ...(traceId !== undefined && { traceId }),
    };
  }

  #describe(step: Step | undefined): void {
    step?.set({ "sandpiper.outcome": this.#outcome ?? "", "http.response.body.size": this.#bytes });
  }

  #send(reply: Reply): void {
    this.#options.sendReply(this.#invocation.replyTo, reply);
  }

  #timing(): InvocationRecord["timing"] {
    const queueMs = Math.max(0, this.#takenAtMs - this.#invocation.enqueuedAtMs);
    const { sandboxMs, initMs } = this.#start;
    return { queueMs, sandboxMs: round(sandboxMs), initMs: round(initMs), handlerMs: round(this.#handlerMs) };
  }

  #sendHead(outcome: Outcome, status: number, headers: HeaderPairs, { body, more }: Body, streaming: boolean): void {
    const error = this.#error && { error: this.#error, ...(this.#thrown && { thrown: this.#thrown }) };
    const statusText = outcome === "ok" && this.#head?.statusText;
    const [timing, start] = [this.#timing(), this.#start.kind];
    this.#send({
      kind: "head",
      id: this.#invocation.id,
      outcome,
      status,
      ...(statusText && { statusText }),
      headers,
      ...error,
      timing,
      start,
      streaming,
      body,
      ...(more && { more }),
    });
  }
}

function thrownError({ name, message, stack }: Failure): ThrownError {
  return { errorType: name, errorMessage: message, trace: stack.split("\n") };
}

const NO_BODY: Body = { body: new Uint8Array(0) };

/** Rounds to a microsecond: more digits are noise, and cost bytes in every reply. */
function round(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
