/** The documents of operations against the code: every metric that they name is there, and told. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GatewayMetrics } from "../../gateway/metrics.ts";
import { createLogger } from "../../infra/log.ts";
import { WorkerMetrics } from "../../worker/metrics.ts";
import { readText } from "./tree.ts";

const NAME = /\b(?:faas|sandpiper|process|nodejs)_[a-z_]+\b/g;
/** Series of a histogram. */
const SUFFIX = /_(?:bucket|sum|count)$/;

/** Names of all metrics of gateway and worker. */
async function metricNames(): Promise<string[]> {
  const { connectRedis } = await import("../../infra/redis.ts");
  const redis = connectRedis("unix:///nowhere.sock", "test", { log: createLogger({ service: "test", write() {} }) });
  redis.on("error", () => {});
  const [gateway, worker] = [new GatewayMetrics(1), new WorkerMetrics(1)];
  const replies = { connections: 0, messages: {} };
  const state = { waitingCalls: 0, heldCalls: 0, slots: 0, reservedSlots: 0, isAccepting: true, budgets: {}, replies };
  gateway.ask(redis, () => state);
  worker.ask(() => {
    throw new Error("nobody scrapes");
  });
  redis.disconnect();
  return [gateway, worker].flatMap(({ registry }) => registry.getMetricsAsArray().map(({ name }) => name));
}

const named = (text: string) => [...new Set([...text.matchAll(NAME)].map(([name]) => name.replace(SUFFIX, "")))].sort();

describe("metrics", () => {
  it("of the alert rules are there", async () => {
    const there = await metricNames();
    const used = named(readText("docs/alerts.yml"));
    assert.ok(used.length > 10);
    assert.deepEqual(
      used.filter((name) => !there.includes(name)),
      [],
    );
  });

  it("are all in the document, and the document has no other", async () => {
    const there = [...new Set(await metricNames())].sort();
    assert.deepEqual(named(readText("docs/OPERATIONS.md")), there);
  });
});

it("each alert is explained, and each that is explained is there", () => {
  const alerts = [...readText("docs/alerts.yml").matchAll(/^ +- alert: (\w+)$/gm)].map(([, name]) => String(name));
  const explained = [...readText("docs/OPERATIONS.md").matchAll(/`(Sandpiper[A-Z]\w+)`/g)].map(([, name]) =>
    String(name),
  );
  assert.deepEqual([...alerts].sort(), [...explained].sort());
});
