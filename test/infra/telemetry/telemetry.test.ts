import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, test } from "node:test";
import { promisify } from "node:util";
import { propagation, ROOT_CONTEXT, SpanStatusCode, trace } from "@opentelemetry/api";
import type { SpanData, Telemetry, TelemetryOptions } from "../../../infra/telemetry/telemetry.ts";
import { startTelemetry } from "../../../infra/telemetry/telemetry.ts";

const SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
const CHILD = new URL("./fixtures/traced-child.ts", import.meta.url).pathname;

let running: Telemetry | undefined;
afterEach(() => running?.shutdown());

function start(options: Partial<TelemetryOptions> = {}): void {
  running = startTelemetry({ service: "gateway", instanceId: "g1", env: {}, ...options });
}

/**
 * Makes one span below a traceparent (or a root span) and returns the traceparent that continues
 * it.
 */
function span(name: string, traceparent?: string): string {
  const parent = traceparent ? propagation.extract(ROOT_CONTEXT, { traceparent }) : ROOT_CONTEXT;
  const made = trace.getTracer("test").startSpan(name, { attributes: { n: 1, list: ["a"] } }, parent);
  const carrier: { traceparent?: string } = {};
  propagation.inject(trace.setSpan(ROOT_CONTEXT, made), carrier);
  made.setStatus({ code: SpanStatusCode.ERROR, message: "why" }).end();
  return String(carrier.traceparent);
}

test("a finished sampled span is handed over as a plain object", async () => {
  const { promise, resolve } = Promise.withResolvers<SpanData[]>();
  start({ onSpans: resolve });
  const beforeMs = Date.now();
  span("gateway", SAMPLED);
  const [data] = await promise;
  assert.ok(data && data.startMs >= beforeMs - 1 && data.endMs >= data.startMs);
  const { spanId, startMs, endMs, ...rest } = data;
  assert.match(spanId, /^[0-9a-f]{16}$/);
  assert.deepEqual(
    { ...rest, attributes: { ...rest.attributes } },
    {
      traceId: SAMPLED.slice(3, 35),
      parentSpanId: SAMPLED.slice(36, 52),
      name: "gateway",
      kind: "internal",
      attributes: { n: 1, list: ["a"] },
      status: "error",
      statusMessage: "why",
      service: "gateway",
      instanceId: "g1",
    },
  );
});

test("what describes the process is on every span from then on, until something else does", async () => {
  const spans: SpanData[] = [];
  start({ onSpans: (ended) => void spans.push(...ended) });
  span("before", SAMPLED);
  running?.describe({ walls: ["landlock"] });
  span("below", span("described", SAMPLED));
  running?.describe({});
  span("after", SAMPLED);
  await running?.flush();
  assert.deepEqual(
    spans.map(({ name, attributes }) => [name, attributes.walls]),
    [
      ["before", undefined],
      ["described", ["landlock"]],
      ["below", ["landlock"]],
      ["after", undefined],
    ],
  );
});

test("a span continues in another process", async () => {
  const spans: SpanData[] = [];
  start({ onSpans: (batch) => void spans.push(...batch) });
  const traceparent = span("queue", SAMPLED);
  await running?.flush();
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, traceparent]);
  const [child] = JSON.parse(stdout) as SpanData[];
  assert.equal(child?.traceId, spans[0]?.traceId);
  assert.equal(child?.parentSpanId, spans[0]?.spanId);
  assert.equal(child?.service, "worker");
});

test("without an exporter only what the caller samples is recorded", async () => {
  const names: string[] = [];
  start({ onSpans: (batch) => void names.push(...batch.map(({ name }) => name)) });
  span("root");
  span("unsampled", UNSAMPLED);
  span("sampled", SAMPLED);
  await running?.flush();
  assert.deepEqual(names, ["sampled"]);
});

test("OTEL_TRACES_SAMPLER decides, and a wrong one is named", async () => {
  const names: string[] = [];
  const onSpans = (batch: SpanData[]) => void names.push(...batch.map(({ name }) => name));
  start({ onSpans, env: { OTEL_TRACES_SAMPLER: "always_on" } });
  span("root");
  span("unsampled", UNSAMPLED);
  await running?.shutdown();
  assert.deepEqual(names, ["root", "unsampled"]);
  assert.throws(() => start({ env: { OTEL_TRACES_SAMPLER: "sometimes" } }), /OTEL_TRACES_SAMPLER must be one of/);
  assert.throws(() => start({ env: { OTEL_TRACES_SAMPLER_ARG: "2" } }), /OTEL_TRACES_SAMPLER_ARG must be/);
});

test("a receiver of spans that fails harms nobody", async () => {
  start({ onSpans: () => Promise.reject(new Error("Redis is away")) });
  span("gateway", SAMPLED);
  await running?.flush();
  await running?.shutdown();
});

test("spans are exported by OTLP with the process's resource", async () => {
  const body = Promise.withResolvers<string>();
  const collector = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    response.end("{}");
    body.resolve(text);
  }).listen(0, "127.0.0.1");
  await once(collector, "listening");
  const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = endpoint;
  try {
    start({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } });
    span("root");
    await running?.flush();
    const { resourceSpans } = JSON.parse(await body.promise);
    const attributes = resourceSpans[0].resource.attributes;
    const serviceName = attributes.find(({ key }: { key: string }) => key === "service.name");
    assert.equal(serviceName.value.stringValue, "sandpiper-gateway");
    assert.equal(resourceSpans[0].scopeSpans[0].spans[0].name, "root");
  } finally {
    delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT;
    collector.close();
  }
});

test("the lock file has exactly one @opentelemetry/api, as two in one tree drop every span", () => {
  const lock = JSON.parse(readFileSync(new URL("../../../package-lock.json", import.meta.url), "utf8"));
  const found = Object.entries<{ version: string }>(lock.packages)
    .filter(([path]) => path.endsWith("node_modules/@opentelemetry/api"))
    .map(([, { version }]) => version);
  assert.deepEqual(found, ["1.10.0"]);
});

test("it is known whether a trace may be recorded that nobody outside began", async () => {
  const recordsRoots = async (env: Record<string, string>): Promise<boolean> => {
    const telemetry = startTelemetry({ service: "gateway", instanceId: "g1", env });
    await telemetry.shutdown();
    return telemetry.recordsRoots;
  };
  assert.equal(await recordsRoots({}), false);
  assert.equal(await recordsRoots({ OTEL_SDK_DISABLED: "true" }), false);
  assert.equal(await recordsRoots({ OTEL_TRACES_SAMPLER: "always_off" }), false);
  assert.equal(
    await recordsRoots({ OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.01" }),
    true,
  );
  assert.equal(await recordsRoots({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" }), true);
});
