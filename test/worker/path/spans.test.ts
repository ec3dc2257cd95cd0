import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { SpanData } from "../../../infra/telemetry/spans.ts";
import { startTelemetry, type Telemetry } from "../../../infra/telemetry/telemetry.ts";
import { TestWorker } from "../../helpers/worker.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = "00f067aa0ba902b7";

let test: TestWorker;
let telemetry: Telemetry;
const spans: SpanData[] = [];
before(async () => {
  telemetry = startTelemetry({ service: "worker", instanceId: "test", onSpans: (ended) => void spans.push(...ended) });
  test = await TestWorker.start();
  await test.deploy(
    "traced",
    `export default (request: Request) => {
      if (request.url.endsWith("/bad")) throw new Error("no");
      return new Response(request.headers.get("traceparent"));
    };`,
  );
});
after(async () => {
  await test.stop();
  await telemetry.shutdown();
});

/**
 * Calls with this flag of the trace context, and gives the spans that came of it and the function's
 * answer.
 */
async function trace(flags: "00" | "01", path = "/") {
  spans.length = 0;
  const answered = await test.call("traced", { path, traceparent: `00-${TRACE}-${PARENT}-${flags}` });
  const record = await test.record(answered.id);
  await telemetry.flush();
  return { answered, record, spans: [...spans], named: (name: string) => spans.find((span) => span.name === name) };
}

describe("the spans of a call", () => {
  it("are one for each step, below the span that queued it", async () => {
    const first = await trace("01");
    assert.deepEqual(first.spans.map(({ name }) => name).sort(), [
      "acquire",
      "bundle",
      "handler",
      "load",
      "queue",
      "respond",
    ]);
    for (const span of first.spans) {
      assert.deepEqual([span.traceId, span.parentSpanId], [TRACE, PARENT]);
      assert.equal(span.attributes["sandpiper.tenant"], "main");
      assert.equal(span.attributes["faas.invocation_id"], first.answered.id);
      assert.ok(span.endMs >= span.startMs);
    }
    assert.equal(first.named("bundle")?.attributes["sandpiper.bundle"], "miss");
    assert.equal(first.named("acquire")?.attributes["faas.coldstart"], true);
    assert.ok(Number(first.named("handler")?.attributes["sandpiper.peak_memory_bytes"]) > 0);
    assert.equal(first.named("respond")?.attributes["sandpiper.outcome"], "ok");
    assert.equal(first.record.traceId, TRACE);
  });

  it("tell a warm call from a cold one", async () => {
    await trace("01");
    const warm = await trace("01");
    assert.equal(warm.named("bundle")?.attributes["sandpiper.bundle"], "hit");
    assert.equal(warm.named("acquire")?.attributes["sandpiper.start"], "warm");
    assert.equal(warm.named("load"), undefined);
  });

  it("are continued by the function below the handler's", async () => {
    const { answered, named } = await trace("01");
    assert.equal(answered.text, `00-${TRACE}-${named("handler")?.spanId}-01`);
  });

  it("tell how a call failed", async () => {
    const { named } = await trace("01", "/bad");
    assert.equal(named("respond")?.attributes["sandpiper.outcome"], "function_error");
  });

  it("are none when the call is not sampled, and the function still gets the context", async () => {
    const { answered, spans, record } = await trace("00");
    assert.deepEqual(spans, []);
    assert.equal(answered.text, `00-${TRACE}-${PARENT}-00`);
    assert.equal(record.traceId, undefined);
  });
});
