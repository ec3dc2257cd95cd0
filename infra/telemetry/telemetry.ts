/**
 * Sets up the OpenTelemetry SDK, once a process. Everything else uses @opentelemetry/api alone.
 *
 * There is no context manager: contexts are passed along explicitly (`tracer.startSpan(name,
 * options, context)`), as AsyncLocalStorage would cost every await of the hot path.
 * `context.active()` is therefore always empty.
 */
import { type Attributes, propagation, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { detectResources, envDetector, type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, type Span, type SpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import type { Environment } from "../environment.ts";
import { settledWithin } from "../std/time.ts";
import { createSampler } from "./sampler.ts";
import { type SpanData, spanCollector } from "./spans.ts";

export type { SpanData } from "./spans.ts";

/** Most text of one attribute: tenants choose paths and names, and spans are kept in memory. */
const ATTRIBUTE_LENGTH_LIMIT = 4_096;
/** Longest time for handing spans over. */
const EXPORT_LIMIT_MS = 5_000;

export interface TelemetryOptions {
  /**
   * Which process this is: "gateway", "worker". OTEL_SERVICE_NAME overrides it in what is exported.
   */
  service: string;
  /** Tells processes of one service apart. */
  instanceId: string;
  /**
   * Gets finished sampled spans in batches, at most 100 ms after they ended. Its rejections are
   * dropped.
   */
  onSpans?: (spans: SpanData[]) => Promise<void> | void;
  env?: Environment;
}

export interface Telemetry {
  /** Whether a trace may be recorded that nobody outside began. */
  readonly recordsRoots: boolean;
  /** Puts these on every span that is started from now on, instead of what was put there before. */
  describe(attributes: Attributes): void;
  /** Hands over every span that has ended so far. */
  flush(): Promise<void>;
  /** Flushes and stops. Never rejects, takes at most five seconds. Idempotent. */
  shutdown(): Promise<void>;
}

/**
 * Registers tracer provider and W3C propagator with the API. Spans go to `onSpans`, and by OTLP
 * over HTTP when OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) is set.
 * @throws ConfigError when OTEL_TRACES_SAMPLER or its argument have no meaning.
 */
export function startTelemetry(options: TelemetryOptions): Telemetry {
  const env = options.env ?? process.env;
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === "true") return OFF;
  const common = new CommonAttributes();
  const { sampler, recordsRoots } = createSampler(env);
  const provider = new TracerProvider({
    sampler,
    resource: describeProcess(options),
    spanLimits: { attributeValueLengthLimit: ATTRIBUTE_LENGTH_LIMIT },
    spanProcessors: [common, ...spanProcessors(options, env)],
  });
  trace.setGlobalTracerProvider(provider);
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  let stopped: Promise<void> | undefined;
  return {
    recordsRoots,
    describe: (attributes) => {
      common.attributes = attributes;
    },
    flush: () => provider.forceFlush({ timeoutMillis: EXPORT_LIMIT_MS }).catch(nothing),
    shutdown: () => (stopped ??= stop(provider)),
  };
}

const OFF: Telemetry = { recordsRoots: false, describe() {}, flush: nothing, shutdown: nothing };

/** Marks every span as it starts. */
class CommonAttributes implements SpanProcessor {
  attributes: Attributes = {};

  onStart(span: Span): void {
    span.setAttributes(this.attributes);
  }

  onEnd(): void {}
  async forceFlush(): Promise<void> {}
  async shutdown(): Promise<void> {}
}

function spanProcessors(options: TelemetryOptions, env: Environment): SpanProcessor[] {
  const processors: SpanProcessor[] = [];
  if (options.onSpans) processors.push(spanCollector(options, options.onSpans));
  if (env.OTEL_EXPORTER_OTLP_ENDPOINT || env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) {
    processors.push(
      new BatchSpanProcessor({ exporter: new OTLPTraceExporter(), exportTimeoutMillis: EXPORT_LIMIT_MS }),
    );
  }
  return processors;
}

/** OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over what we know ourselves. */
function describeProcess(options: TelemetryOptions): Resource {
  return resourceFromAttributes({
    "service.name": `sandpiper-${options.service}`,
    "service.namespace": "sandpiper",
    "service.instance.id": options.instanceId,
  }).merge(detectResources({ detectors: [envDetector] }));
}

async function stop(provider: TracerProvider): Promise<void> {
  await settledWithin(EXPORT_LIMIT_MS, provider.shutdown());
  trace.disable();
  propagation.disable();
}

async function nothing(): Promise<void> {}
