/** Who may read the figures of a process, and how many series there may be. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { createLogger } from "../../../infra/log.ts";
import {
  Counter,
  FunctionCounter,
  Histogram,
  processRegistry,
  Registry,
  SeriesByFunction,
} from "../../../infra/telemetry/metrics.ts";
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

  it("is read by whoever comes, whatever connections others hold and say nothing on", async (t) => {
    const { url } = await serve(t, "127.0.0.1:0");
    const { hostname, port } = new URL(url ?? "");
    const sockets = Array.from({ length: 40 }, () => connect(Number(port), hostname).on("error", () => {}));
    t.after(() => {
      for (const socket of sockets) socket.destroy();
    });
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    assert.equal((await fetch(url ?? "")).status, 200);
  });

  it("may be off, and one that is taken keeps nobody from working", async (t) => {
    assert.equal((await serve(t, "off")).url, null);
    const { url } = await serve(t, "127.0.0.1:0");
    const second = await serve(t, new URL(url ?? "").host);
    assert.equal(second.url, null);
    assert.match(lines.join(""), /metrics are not served.*EADDRINUSE/);
  });
});

describe("series by function", () => {
  const HOUR_MS = 3_600_000;

  /** Series for so many functions, and the names of those that have some now. */
  function seriesFor(most: number) {
    const names = new Set<string>();
    const series = new SeriesByFunction(most, (labels) => {
      const name = `${labels.tenant}/${labels.function}`;
      names.add(name);
      return { name, remove: () => names.delete(name) };
    });
    const of = (...all: string[]) =>
      all.map((name) => {
        const [tenant = "", functionName = ""] = name.split("/");
        return series.of({ tenant, functionName }).name;
      });
    return { of, names };
  }

  it("are shared by functions beyond the number", () => {
    const { of, names } = seriesFor(2);
    const said = of("main/a", "main/b", "main/c", "main/a", "main/d", "main/b");
    assert.deepEqual(said, ["main/a", "main/b", "other/other", "main/a", "other/other", "main/b"]);
    assert.deepEqual([...names], ["main/a", "main/b", "other/other"]);
  });

  it("make way when nobody has called their function for an hour", (t) => {
    const { of, names } = seriesFor(2);
    of("main/a", "main/b", "main/c");
    const laterMs = performance.now() + HOUR_MS;
    t.mock.method(performance, "now", () => laterMs - HOUR_MS / 4);
    of("main/b", "main/c");
    t.mock.method(performance, "now", () => laterMs + HOUR_MS / 2);
    of("main/c");
    assert.deepEqual([...names], ["main/b", "other/other", "main/c"]);
  });

  it("make way for a tenant that has fewer than the one that has most, until both have the same", (t) => {
    let nowMs = 0;
    t.mock.method(performance, "now", () => nowMs++);
    const { of, names } = seriesFor(4);
    of("many/a", "many/b", "many/c", "many/d", "many/a", "few/a", "few/b", "few/c", "many/e", "new/a");
    // "new" got the place of one of "many" or "few", which have two each.
    assert.deepEqual([...names].filter((name) => !name.startsWith("other")).length, 4);
    assert.ok(names.has("new/a") && names.has("few/b") && names.has("many/a"));
    assert.ok(!names.has("many/b"));
  });
});

it("a counter of a function takes all of its series away", async () => {
  const registry = new Registry();
  const labelNames = ["tenant", "function", "code"];
  const counter = new SeriesCounter({ name: "errors", help: "Errors.", labelNames, registers: [registry] });
  const [one, other] = ["a", "b"].map(
    (name) => new FunctionCounter(counter, { tenant: "t", function: name }, ["code"]),
  );
  one?.inc("X");
  one?.inc("X");
  one?.inc("Y");
  other?.inc("X");
  assert.match(await registry.metrics(), /errors\{tenant="t",function="a",code="X"\} 2\n/);
  one?.remove();
  const left = (await registry.metrics()).split("\n").filter((line) => line.startsWith("errors{"));
  assert.deepEqual(left, ['errors{tenant="t",function="b",code="X"} 1']);
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
