/** The gateway's spans of a call. */

import type { IncomingHttpHeaders } from "node:http";
import {
  type Context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  type TextMapSetter,
  trace,
} from "@opentelemetry/api";
import type { Invocation } from "../../functions/model/invocation.ts";
import { TENANT_ATTRIBUTE } from "../../functions/store/traces.ts";
import type { Ending } from "./exchange.ts";
import type { FunctionTarget } from "./target.ts";

const incoming: TextMapGetter<IncomingHttpHeaders> = {
  get: (headers, name) => headers[name],
  keys: (headers) => Object.keys(headers),
};

const outgoing: TextMapSetter<Invocation> = {
  set(invocation, name, value) {
    if (name === "traceparent" || name === "tracestate") invocation[name] = value;
  },
};

/** The spans of one call, from its first byte to its last. */
export interface CallTrace {
  /** Says which call it is, and what its client asked for. */
  describe(invocation: Invocation, target: FunctionTarget): void;
  /** Runs `send` under the enqueue span, whose context travels with the invocation. */
  enqueue(invocation: Invocation, send: () => Promise<void>): Promise<void>;
  /** Ends the gateway's span. */
  end(ending: Ending): void;
}

/**
 * @param recordsRoots whether a trace may be recorded that no client began: if not, nothing need be
 * asked about it.
 */
export function traceCall(headers: IncomingHttpHeaders, startMs: number, recordsRoots: boolean): CallTrace {
  return recordsRoots || headers.traceparent ? new SpanTrace(headers, startMs) : UNRECORDED;
}

/**
 * The context that a function gets to hand on when nobody records (W3C Trace Context, section 3.2).
 */
const UNRECORDED: CallTrace = {
  describe() {},
  enqueue(invocation, send) {
    const traceId = invocation.id.replaceAll("-", "");
    invocation.traceparent = `00-${traceId}-${traceId.slice(16)}-00`;
    return send();
  },
  end() {},
};

class SpanTrace implements CallTrace {
  readonly #span: Span;
  readonly #context: Context;

  /** Begins the gateway's span, below the client's when it sent one. */
  constructor(headers: IncomingHttpHeaders, startMs: number) {
    const parent = headers.traceparent ? propagation.extract(ROOT_CONTEXT, headers, incoming) : ROOT_CONTEXT;
    this.#span = tracer().startSpan("gateway", { kind: SpanKind.SERVER, startTime: startMs }, parent);
    this.#context = trace.setSpan(parent, this.#span);
  }

  describe(invocation: Invocation, { whole, sharedPath }: FunctionTarget): void {
    if (!this.#span.isRecording()) return;
    const { method, url } = invocation.request;
    const { origin, hostname, port, protocol } = new URL(url);
    const { pathname, search } = new URL(origin + whole);
    this.#span.setAttributes({
      ...named(invocation),
      "faas.invocation_id": invocation.id,
      "http.request.method": method,
      "http.route": sharedPath === null ? "/*" : "/fn/{tenant}/{function}/*",
      "url.path": pathname,
      "url.query": search.slice(1),
      "url.scheme": protocol.slice(0, -1),
      "server.address": hostname,
      ...(port !== "" && { "server.port": Number(port) }),
      "client.address": invocation.request.remoteAddress,
    });
  }

  async enqueue(invocation: Invocation, send: () => Promise<void>): Promise<void> {
    if (!this.#span.isRecording()) {
      propagation.inject(this.#context, invocation, outgoing);
      return send();
    }
    const attributes = { ...named(invocation), "messaging.system": "bullmq", "messaging.operation.name": "send" };
    const span = tracer().startSpan("enqueue", { kind: SpanKind.PRODUCER, attributes }, this.#context);
    propagation.inject(trace.setSpan(this.#context, span), invocation, outgoing);
    try {
      await send();
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: (error as Error).message });
      throw error;
    } finally {
      span.end();
    }
  }

  end({ status, outcome, error }: Ending): void {
    if (this.#span.isRecording()) {
      this.#span.setAttribute("http.response.status_code", status);
      if (outcome) this.#span.setAttribute("sandpiper.outcome", outcome);
      if (error) this.#span.setAttribute("error.type", error.code);
      if (error && status >= 500) this.#span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
    }
    this.#span.end();
  }
}

function named({ tenant, functionName, version }: Invocation): Record<string, string> {
  return {
    [TENANT_ATTRIBUTE]: tenant,
    "faas.name": functionName,
    "faas.version": version,
    "faas.trigger": "http",
  };
}

/**
 * Asked for at each call, as the provider may be registered after this module was loaded; the API
 * remembers it.
 */
function tracer() {
  return trace.getTracer("sandpiper.gateway");
}
