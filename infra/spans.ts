/** Finished spans as plain small objects, for whoever keeps them (see `onSpans` in telemetry.ts). */
import { type Attributes, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { type ExportResult, ExportResultCode, hrTimeToMilliseconds } from "@opentelemetry/core";
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter, type SpanProcessor } from "@opentelemetry/sdk-trace";

/** How long a finished span may wait for company. */
const BATCH_DELAY_MS = 100;
/** More finished spans than this wait for nobody: they are dropped. */
const MAX_WAITING_SPANS = 8_192;

export interface SpanData {
  traceId: string;
  spanId: string;
  /** null for the root of a trace. */
  parentSpanId: string | null;
  name: string;
  kind: "internal" | "server" | "client" | "producer" | "consumer";
  /** Unix time in milliseconds, with a fraction. */
  startUnixMs: number;
  durationMs: number;
  attributes: Attributes;
  status: "unset" | "ok" | "error";
  statusMessage?: string;
  /** The process that made it: "gateway", "worker". */
  service: string;
  instanceId: string;
}

const KINDS = {
  [SpanKind.INTERNAL]: "internal",
  [SpanKind.SERVER]: "server",
  [SpanKind.CLIENT]: "client",
  [SpanKind.PRODUCER]: "producer",
  [SpanKind.CONSUMER]: "consumer",
} as const;

const STATUSES = {
  [SpanStatusCode.UNSET]: "unset",
  [SpanStatusCode.OK]: "ok",
  [SpanStatusCode.ERROR]: "error",
} as const;

/** A span processor that hands finished sampled spans to a function, in batches. */
export function spanCollector(
  process: { service: string; instanceId: string },
  onSpans: (spans: SpanData[]) => Promise<void> | void,
): SpanProcessor {
  const exporter: SpanExporter = {
    export(spans, done) {
      deliver(spans.map((span) => toSpanData(span, process))).then(done);
    },
    shutdown: async () => {},
  };
  async function deliver(spans: SpanData[]): Promise<ExportResult> {
    try {
      await onSpans(spans);
      return { code: ExportResultCode.SUCCESS };
    } catch (error) {
      return { code: ExportResultCode.FAILED, error: error as Error };
    }
  }
  return new BatchSpanProcessor({
    exporter,
    scheduledDelayMillis: BATCH_DELAY_MS,
    maxQueueSize: MAX_WAITING_SPANS,
    exportTimeoutMillis: 5_000,
  });
}

function toSpanData(span: ReadableSpan, process: { service: string; instanceId: string }): SpanData {
  const { traceId, spanId } = span.spanContext();
  return {
    traceId,
    spanId,
    parentSpanId: span.parentSpanContext?.spanId ?? null,
    name: span.name,
    kind: KINDS[span.kind],
    startUnixMs: hrTimeToMilliseconds(span.startTime),
    durationMs: hrTimeToMilliseconds(span.duration),
    attributes: { ...span.attributes },
    status: STATUSES[span.status.code],
    ...(span.status.message && { statusMessage: span.status.message }),
    service: process.service,
    instanceId: process.instanceId,
  };
}
