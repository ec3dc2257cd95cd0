/** Figures of a gateway, as Prometheus reads them. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { beat } from "../../functions/store/workers.ts";
import { GatewayMetrics } from "../../gateway/metrics.ts";
import { eventually } from "../helpers/eventually.ts";
import { startTestGateway, type TestGateway } from "../helpers/gateway.ts";

let test: TestGateway;
const metrics = new GatewayMetrics(1);
before(async () => {
  test = await startTestGateway({}, { metrics });
});
after(() => test.stop());

/** The value of a series; undefined when there is none. */
async function value(name: string, labels: Record<string, string> = {}): Promise<number | undefined> {
  const found = (await metrics.registry.getMetricsAsJSON()).find(
    (metric) => metric.name === name.replace(/_count$/, ""),
  );
  const values = (found?.values ?? []) as { value: number; labels: Record<string, unknown>; metricName?: string }[];
  return values.find(
    (one) =>
      (one.metricName ?? name) === name && Object.entries(labels).every(([label, text]) => one.labels[label] === text),
  )?.value;
}

describe("a gateway counts", () => {
  it("calls by function, outcome and error, with few functions of their own", async () => {
    test.answer = ({ request }) =>
      request.path === "/late" ? { outcome: "timeout", error: { code: "TIMEOUT", message: "late" } } : {};
    await test.deploy("second");
    for (const path of ["hello", "hello", "hello/late", "second", "none"]) await fetch(`${test.url}/fn/main/${path}`);
    const calls = (labels: Record<string, string>) => value("sandpiper_gateway_calls_total", labels);
    const hello = { tenant: "main", function: "hello" };
    assert.equal(await calls({ ...hello, outcome: "ok" }), 2);
    assert.equal(await calls({ ...hello, outcome: "timeout", code: "TIMEOUT" }), 1);
    assert.equal(await calls({ function: "other", outcome: "ok" }), 1);
    assert.equal(await calls({ function: "unknown", code: "FUNCTION_NOT_FOUND" }), 1);
    assert.equal(await value("sandpiper_gateway_call_duration_seconds_count", hello), 3);
  });

  it("calls that wait, and bodies by budget", async () => {
    const taken = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<void>();
    test.answer = async () => {
      taken.resolve();
      await answered.promise;
      return {};
    };
    const call = fetch(`${test.url}/fn/main/hello`, { method: "POST", body: Buffer.alloc(50_000) });
    await taken.promise;
    assert.equal(await value("sandpiper_gateway_waiting_calls"), 1);
    assert.equal(await value("sandpiper_gateway_body_bytes", { budget: "queued" }), 50_000);
    assert.equal(await value("sandpiper_gateway_max_body_bytes", { budget: "uploads" }), 256 * 1024 * 1024);
    answered.resolve();
    await call;
    assert.equal(await value("sandpiper_gateway_waiting_calls"), 0);
    await eventually(async () => (await value("sandpiper_gateway_direct_connections")) === 1);
    assert.ok(Number(await value("sandpiper_gateway_reply_messages_total", { way: "published" })) > 0);
    await fetch(`${test.url}/fn/main/hello`);
    assert.ok(Number(await value("sandpiper_gateway_reply_messages_total", { way: "direct" })) > 0);
  });
});

describe("at a scrape it asks", () => {
  it("Redis for the length and age of its queues, and for workers", async () => {
    await test.worker.close();
    const call = fetch(`${test.url}/fn/main/hello`).catch(() => null);
    const waiting = { queue: "calls", state: "waiting" };
    await eventually(async () => (await value("sandpiper_queue_jobs", waiting)) === 1);
    await eventually(async () => Number(await value("sandpiper_queue_oldest_seconds", { queue: "calls" })) > 0);
    assert.equal(await value("sandpiper_queue_jobs", { queue: "builds", state: "waiting" }), 0);
    const worker = { id: "w", host: "h", pid: 1, startedAtMs: 1, running: 0, room: 1 };
    await beat(test.connection, { ...worker, posture: { launcher: "exec", degraded: [] } });
    assert.equal(await value("sandpiper_workers", { launcher: "exec" }), 1);
    assert.equal(await value("sandpiper_redis_up"), 1);
    await test.redis.kill();
    await call;
  });

  it("nothing of a Redis that is away, and counts the calls that it sheds", async () => {
    await eventually(async () => (await value("sandpiper_redis_up")) === 0);
    assert.equal(await value("sandpiper_queue_jobs", { queue: "calls", state: "waiting" }), undefined);
    assert.equal(await value("sandpiper_workers"), undefined);
    assert.equal(await value("sandpiper_gateway_accepting"), 0);
    await fetch(`${test.url}/fn/main/hello`);
    assert.equal(await value("sandpiper_gateway_shed_calls_total", { code: "QUEUE_UNAVAILABLE" }), 1);
    await test.redis.restart();
    // What stops behind this test stops when all connections are back.
    await eventually(async () => (await test.deploy("back")).ok);
  });
});
