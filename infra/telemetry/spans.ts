/**
 * Finished spans as plain small objects, for whoever keeps them (see `onSpans` in telemetry.ts).
 */
import { type AttributeValue, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { type ExportResult, ExportResultCode, hrTimeToMilliseconds } from "@opentelemetry/core";
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter, type SpanProcessor } from "@opentelemetry/sdk-trace";

/** How long a finished span may wait for company. */
const BATCH_DELAY_MS = 100;
/** More finished spans than this wait for nobody: they are dropped. */
const MAX_WAITING_SPANS = 8_192;

type PlainValue = string | number | boolean;

export interface SpanData {
  traceId: string;
  spanId: string;
  /** Absent for the root of a trace. */
  parentSpanId?: string;
  name: string;
  kind: "internal" | "server" | "client" | "producer" | "consumer";
  /** Unix time in milliseconds, with a fraction if the span was started with one. */
  startMs: number;
  endMs: number;
  attributes: Record<string, PlainValue | PlainValue[]>;
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
      void deliver(spans.map((span) => toSpanData(span, process))).then(done);
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
    ...(span.parentSpanContext && { parentSpanId: span.parentSpanContext.spanId }),
    name: span.name,
    kind: KINDS[span.kind],
    startMs: hrTimeToMilliseconds(span.startTime),
    endMs: hrTimeToMilliseconds(span.endTime),
    attributes: plainAttributes(span.attributes),
    status: STATUSES[span.status.code],
    ...(span.status.message && { statusMessage: span.status.message }),
    service: process.service,
    instanceId: process.instanceId,
  };
}

/**
 * Attributes as plain JSON; the rare value that is neither a scalar nor a list of them becomes JSON
 * text.
 */
function plainAttributes(attributes: ReadableSpan["attributes"]): SpanData["attributes"] {
  const plain: SpanData["attributes"] = Object.create(null);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) plain[name] = plainValue(value);
  }
  return plain;
}

function plainValue(value: AttributeValue): PlainValue | PlainValue[] {
  if (isPlain(value)) return value;
  return Array.isArray(value) && value.every(isPlain) ? value : JSON.stringify(value);
}

function isPlain(value: unknown): value is PlainValue {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}
