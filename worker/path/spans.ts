/**
 * The spans of one call in a worker. A call that is not sampled costs next to nothing: none are
 * made for it.
 */
import {
  type Attributes,
  type Context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from "@opentelemetry/api";
import type { Invocation } from "../../functions/model/invocation.ts";
import { CallFailure } from "../outcome/outcome.ts";

/** A step while it runs: takes attributes of its span, and gives its trace context. */
export interface Step {
  /** Whether anybody will see what is set. */
  readonly isRecording: boolean;
  set(attributes: Attributes): void;
  /** The W3C trace context by which the function continues this trace from here. */
  readonly traceContext: TraceContext;
}

export interface TraceContext {
  traceparent: string | null;
  tracestate: string | null;
}

/** Makes one span for each step of a call, below the span in which the gateway queued it. */
export interface CallSpans {
  readonly traceId: string | undefined;
  /** Runs a step inside its span; a step that throws marks it. */
  step<T>(name: string, run: (step: Step) => T | Promise<T>): T | Promise<T>;
  /** A step that is over already. Times are Unix times in milliseconds. */
  past(name: string, startMs: number, endMs: number, attributes?: Attributes): void;
}

/** The spans of a call, of which the first is its wait in the queue. */
export function startSpans(invocation: Invocation): CallSpans {
  if (!isSampled(invocation.traceparent)) return unsampled(invocation);
  const spans = new SampledSpans(invocation);
  const waited = { "messaging.system": "bullmq", "messaging.operation.type": "receive" };
  spans.past("queue", invocation.enqueuedAtMs, Date.now(), waited);
  return spans;
}

/**
 * Version 00 of W3C Trace Context: the last two hex digits are flags, and the lowest of them says
 * sampled.
 */
function isSampled(traceparent: string | undefined): boolean {
  return traceparent !== undefined && (Number.parseInt(traceparent.slice(-2), 16) & TraceFlags.SAMPLED) !== 0;
}

function unsampled({ traceparent, tracestate }: Invocation): CallSpans {
  const traceContext = { traceparent: traceparent ?? null, tracestate: tracestate ?? null };
  const step: Step = { isRecording: false, set: () => {}, traceContext };
  return { traceId: undefined, step: (_name, run) => run(step), past: () => {} };
}

class SampledSpans implements CallSpans {
  readonly traceId: string | undefined;
  readonly #tracer = trace.getTracer("sandpiper.worker");
  readonly #parent: Context;
  readonly #attributes: Attributes;

  constructor(invocation: Invocation) {
    const { traceparent = "", tracestate = "" } = invocation;
    this.#parent = propagation.extract(ROOT_CONTEXT, { traceparent, tracestate });
    this.traceId = trace.getSpanContext(this.#parent)?.traceId;
    this.#attributes = {
      "sandpiper.tenant": invocation.tenant,
      "faas.name": invocation.functionName,
      "faas.version": invocation.version,
      "faas.invocation_id": invocation.id,
    };
  }

  async step<T>(name: string, run: (step: Step) => T | Promise<T>): Promise<T> {
    const span = this.#start(name);
    try {
      return await run({
        isRecording: true,
        set: (attributes) => void span.setAttributes(attributes),
        traceContext: this.#contextOf(span),
      });
    } catch (error) {
      markFailed(span, error);
      throw error;
    } finally {
      span.end();
    }
  }

  past(name: string, startMs: number, endMs: number, attributes: Attributes = {}): void {
    this.#start(name, startMs).setAttributes(attributes).end(endMs);
  }

  #start(name: string, startTime?: number): Span {
    const kind = name === "queue" ? SpanKind.CONSUMER : SpanKind.INTERNAL;
    const options = { kind, attributes: this.#attributes, ...(startTime === undefined ? {} : { startTime }) };
    return this.#tracer.startSpan(name, options, this.#parent);
  }

  #contextOf(span: Span): TraceContext {
    const carrier: Record<string, string> = {};
    propagation.inject(trace.setSpan(this.#parent, span), carrier);
    return { traceparent: carrier.traceparent ?? null, tracestate: carrier.tracestate ?? null };
  }
}

function markFailed(span: Span, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  // A client that leaves is no failure of the step.
  const isCancelled = error instanceof CallFailure && error.outcome === "cancelled";
  if (!isCancelled) span.setStatus({ code: SpanStatusCode.ERROR, message });
  if (!(error instanceof CallFailure)) return;
  span.setAttributes({ "sandpiper.outcome": error.outcome, "error.type": error.code });
}
