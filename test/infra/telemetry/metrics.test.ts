/** Who may read the figures of a process, and how many series there may be. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { createLogger } from "../../../infra/log.ts";
import { Counter, Histogram, processRegistry, Registry, SeriesByFunction } from "../../../infra/telemetry/metrics.ts";
import { type MetricsServer, serveMetrics } from "../../../infra/telemetry/metrics-server.ts";
import { SeriesCounter, SeriesHistogram } from "../../../infra/telemetry/series.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const base = tempDir();
const lines: string[] = [];
const log = createLogger({ service: "gateway", write: (line) => lines.push(line) });

async function serve(t: TestContext, listen: string, keyFile: string | null = null): Promise<MetricsServer> {
  const server = await serveMetrics({ listen, keyFile, registry: processRegistry(), log });
  t.after(() => server.close());
  return server;
}

describe("the port of figures", () => {
  it("has /metrics for Prometheus and nothing else", async (t) => {
    const { url } = await serve(t, "127.0.0.1:0");
    assert.ok(url);
    const response = await fetch(url);
    assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    const text = await response.text();
    assert.match(text, /^# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total [\d.]+$/m);
    assert.match(text, /^process_resident_memory_bytes \d+$/m);
    assert.match(text, /^nodejs_eventloop_utilization [\d.e-]+$/m);
    assert.equal((await fetch(new URL("/", url))).status, 404);
    assert.equal((await fetch(url, { method: "POST" })).status, 404);
  });

  it("wants the key where there is one", async (t) => {
    const file = join(base, "key");
    writeFileSync(file, "a-long-key\n");
    const { url } = await serve(t, "127.0.0.1:0", file);
    assert.ok(url);
    const status = async (authorization?: string) =>
      (await fetch(url, authorization === undefined ? {} : { headers: { authorization } })).status;
    assert.deepEqual([await status(), await status("Bearer a-long-kez"), await status("a-long-key")], [401, 401, 401]);
    assert.equal(await status("Bearer a-long-key"), 200);
    writeFileSync(file, "\n");
    await assert.rejects(serve(t, "127.0.0.1:0", file), /is empty/);
  });

  it("may be off, and one that is taken keeps nobody from working", async (t) => {
    assert.equal((await serve(t, "off")).url, null);
    const { url } = await serve(t, "127.0.0.1:0");
    const second = await serve(t, new URL(url ?? "").host);
    assert.equal(second.url, null);
    assert.match(lines.join(""), /metrics are not served.*EADDRINUSE/);
  });
});

it("functions beyond the number share the series of others", () => {
  const made: string[] = [];
  const series = new SeriesByFunction(2, (labels) => {
    made.push(`${labels.tenant}/${labels.function}`);
    return labels;
  });
  for (const functionName of ["a", "b", "c", "a", "d", "c"]) series.of({ tenant: "main", functionName });
  assert.deepEqual(made, ["main/a", "main/b", "other/other"]);
  assert.deepEqual(series.of({ tenant: "main", functionName: "b" }), { tenant: "main", function: "b" });
});

it("held series are told as prom-client tells its own", async () => {
  const [held, own] = [new Registry(), new Registry()];
  const [times, calls] = [
    { name: "seconds", help: "Times.", buckets: [0.5, 1, 2] },
    { name: "calls_total", help: "Calls.", labelNames: ["tenant"] },
  ];
  const [heldTimes, heldCalls] = [
    new SeriesHistogram({ ...times, registry: held }),
    new SeriesCounter({ ...calls, registers: [held] }),
  ];
  const ownTimes = new Histogram({ ...times, labelNames: ["tenant"], registers: [own] });
  const ownCalls = new Counter({ ...calls, registers: [own] });
  for (const tenant of ["main", 'a"b']) {
    const [observed, counted] = [heldTimes.series({ tenant }), heldCalls.series({ tenant })];
    for (const value of [0, 0.5, 0.75, 2, 2.5]) {
      observed.observe(value);
      ownTimes.observe({ tenant }, value);
      counted.inc();
      ownCalls.inc({ tenant });
    }
    // Whoever scrapes twice must not count twice.
    assert.equal(await held.metrics(), await own.metrics());
  }
  heldCalls.inc({ tenant: "main" });
  ownCalls.inc({ tenant: "main" });
  assert.equal(await held.metrics(), await own.metrics());
});
