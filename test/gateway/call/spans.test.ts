import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { Invocation } from "../../../functions/model/invocation.ts";
import { readTrace, storeSpans } from "../../../functions/store/traces.ts";
import { startTelemetry, type Telemetry } from "../../../infra/telemetry/telemetry.ts";
import { startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

let test: TestGateway;
let telemetry: Telemetry;
before(async () => {
  telemetry = startTelemetry({
    service: "gateway",
    instanceId: "test",
    onSpans: (spans) => storeSpans(test.connection, spans),
    env: {},
  });
  test = await startTestGateway({}, telemetry);
});
after(async () => {
  await test.stop();
  await telemetry.shutdown();
});

const TRACE = "a".repeat(32);
const CLIENT_SPAN = "b".repeat(16);

async function callWith(headers: Record<string, string>): Promise<Invocation> {
  const seen = Promise.withResolvers<Invocation>();
  test.answer = (invocation) => {
    seen.resolve(invocation);
    return { status: 201 };
  };
  await (await fetch(`${test.url}/fn/main/hello/a?b=c`, { headers })).text();
  return seen.promise;
}

it("is one trace from the client's span through the gateway's to what the worker gets", async () => {
  const invocation = await callWith({ traceparent: `00-${TRACE}-${CLIENT_SPAN}-01`, tracestate: "x=1" });
  await telemetry.flush();
  const [gateway, enqueue, ...more] = (await readTrace(test.connection, "main", TRACE)) ?? [];
  assert.deepEqual(more, []);
  assert.deepEqual(
    [gateway?.name, gateway?.kind, gateway?.parentSpanId, gateway?.status],
    ["gateway", "server", CLIENT_SPAN, "unset"],
  );
  assert.deepEqual([enqueue?.name, enqueue?.kind, enqueue?.parentSpanId], ["enqueue", "producer", gateway?.spanId]);
  assert.equal(invocation.traceparent, `00-${TRACE}-${enqueue?.spanId}-01`);
  assert.equal(invocation.tracestate, "x=1");
  const { attributes } = gateway ?? {};
  assert.deepEqual(attributes, {
    "sandpiper.tenant": "main",
    "sandpiper.outcome": "ok",
    "faas.name": "hello",
    "faas.version": invocation.version,
    "faas.trigger": "http",
    "faas.invocation_id": invocation.id,
    "http.request.method": "GET",
    "http.route": "/fn/{tenant}/{function}/*",
    "http.response.status_code": 201,
    "url.path": "/fn/main/hello/a",
    "url.query": "b=c",
    "url.scheme": "http",
    "server.address": "127.0.0.1",
    "server.port": Number(new URL(test.url).port),
    "client.address": "127.0.0.1",
  });
});

it("records nothing of a call that is not sampled, and tells the worker so", async () => {
  const other = "c".repeat(32);
  const invocation = await callWith({ traceparent: `00-${other}-${CLIENT_SPAN}-00` });
  assert.match(invocation.traceparent ?? "", new RegExp(`^00-${other}-[0-9a-f]{16}-00$`));
  const alone = await callWith({});
  assert.match(alone.traceparent ?? "", /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-00$/);
  assert.notEqual(alone.traceparent, (await callWith({})).traceparent);
  await telemetry.flush();
  assert.equal(await readTrace(test.connection, "main", other), null);
});

it("begins a trace of its own where those are recorded", async () => {
  const recording = await startTestGateway({}, { recordsRoots: true });
  const seen = Promise.withResolvers<Invocation>();
  recording.answer = (invocation) => {
    seen.resolve(invocation);
    return {};
  };
  await (await fetch(`${recording.url}/fn/main/hello`)).text();
  await recording.stop();
  const { id, traceparent } = await seen.promise;
  assert.match(traceparent ?? "", /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
  assert.ok(!traceparent?.includes(id.replaceAll("-", "")), "the tracer chose the trace's id");
});

it("shows what went wrong", async () => {
  const failed = "d".repeat(32);
  test.answer = () => ({ outcome: "timeout", error: { code: "TIMEOUT", message: "Too late." } });
  await fetch(`${test.url}/fn/main/hello`, { headers: { traceparent: `00-${failed}-${CLIENT_SPAN}-01` } });
  await telemetry.flush();
  const gateway = (await readTrace(test.connection, "main", failed))?.find(({ name }) => name === "gateway");
  assert.deepEqual([gateway?.status, gateway?.statusMessage], ["error", "Too late."]);
  assert.equal(gateway?.attributes["error.type"], "TIMEOUT");
  assert.equal(gateway?.attributes["sandpiper.outcome"], "timeout");
});
