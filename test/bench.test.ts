/**
 * The benchmark measures what it says, in the shape that it says. How fast anything is, is no
 * matter of tests.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { before, describe, test } from "node:test";
import { classOf } from "./bench/measure/kernel-costs.ts";
import { type CallCosts, LARGER, predict } from "./bench/measure/model.ts";
import { descendantsOf } from "./bench/measure/processes.ts";
import { differenceOf, quantile, ratioOf, Samples } from "./bench/measure/stats.ts";
import { ENGINE_NAMES } from "./bench/peers/engines.ts";
import { PEER_NAMES } from "./bench/peers/peers.ts";
import { formatHtml } from "./bench/report/html.ts";
import { DOCUMENTS, withFigures } from "./bench/report/readme.ts";
import { formatReport } from "./bench/report/table.ts";
import { judge, judged, TARGETS } from "./bench/report/targets.ts";
import { type Report, runBench, SUITE_NAMES } from "./bench/run/bench.ts";
import { startOurs } from "./bench/run/ours.ts";
import { FULL, type Plan, QUICK, SMOKE } from "./bench/run/plan.ts";
import { eventually } from "./helpers/eventually.ts";
import { stretched } from "./helpers/slowness.ts";
import { tempDir } from "./helpers/temp-dir.ts";

/** The smoke plan, with blocks in which a slow machine makes calls as well. */
const TINY: Plan = {
  ...SMOKE,
  limitMs: stretched(SMOKE.limitMs),
  warmBlockMs: stretched(SMOKE.warmBlockMs),
  payloadBlockMs: stretched(SMOKE.payloadBlockMs),
  blockMs: stretched(SMOKE.blockMs),
  density: { ...SMOKE.density, callsMs: stretched(SMOKE.density.callsMs) },
};

const ROOT = resolve(import.meta.dirname, "..");
const MAIN = join(import.meta.dirname, "bench/main.ts");

async function runMain(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  return { code, stdout, stderr };
}

const finite = (values: readonly number[], what: string): void => {
  for (const value of values) assert.ok(Number.isFinite(value), `${what}: ${value}`);
};

describe("a run of every suite without peers", () => {
  let report: Report;
  before(async () => {
    report = await runBench({ suites: SUITE_NAMES, plan: TINY });
  });

  test("leaves no process", () => assert.deepEqual(descendantsOf(process.pid), []));

  test("tells when, where and how long", () => {
    const { machine, elapsedMs, suites } = report;
    assert.ok(Math.abs(Date.now() - Date.parse(machine.date)) < stretched(600_000));
    assert.equal(machine.node, process.version);
    finite([machine.cores, machine.memoryBytes], "the machine");
    if (typeof machine.kernelCosts !== "string") {
      const prices = Object.values(machine.kernelCosts);
      finite(prices, "the kernel");
      assert.deepEqual([prices.length, prices.every((price) => price > 0)], [4, true]);
      assert.match(formatReport(report), /^A (quiet|slow) machine, by its page faults: system call [\d.]+ µs, /m);
    }
    assert.deepEqual(suites, SUITE_NAMES);
    assert.deepEqual(Object.keys(elapsedMs), SUITE_NAMES);
  });

  test("has rows and ratios of every suite, each with its spread", () => {
    for (const { name, samples, median, p25, p75, p99, byRound } of report.rows) {
      finite([samples, median, p25, p75, p99, ...byRound], name);
      assert.ok(p25 <= median && median <= p75 && p75 <= p99, name);
      assert.ok(samples > 0 && byRound.length > 0, name);
    }
    for (const { name, value, p25, p75, contender, floor } of report.ratios) {
      finite([value, p25, p75, contender, floor], name);
      assert.equal(value, contender / floor, name);
    }
    const names = report.rows.map(({ suite, name, unit }) => `${suite}: ${name}, ${unit}`);
    assert.equal(new Set(names).size, names.length, "two rows have one name");
    for (const suite of SUITE_NAMES)
      assert.ok(
        report.rows.some((row) => row.suite === suite && row.ours),
        suite,
      );
    const samples = (suite: string, name: string) =>
      report.rows.find((row) => row.suite === suite && row.name === name)?.samples;
    assert.equal(samples("sandbox", "creation, one after the other"), TINY.sandboxesPerRound);
    assert.equal(samples("sandbox", "page faults of a sandbox, until it is ready"), TINY.sandboxesPerRound);
    for (const { name, median } of report.rows.filter(({ unit }) => ["faults", "pages", "calls"].includes(unit)))
      assert.ok(median > 0, name);
    assert.equal(samples("cold", "cold call over HTTP, pool empty"), TINY.coldCallsPerRound);
    assert.equal(samples("sandbox", "creation, 2 live"), TINY.sandboxesPerRound);
  });

  test("has what calls cost, by process", () => {
    for (const { name, calls, cpuMsPerCall, redisCommandsPerCall } of report.costs) {
      assert.ok(calls > 0, name);
      for (const value of Object.values(cpuMsPerCall)) assert.ok(value >= 0, name);
      if ("redis" in cpuMsPerCall) assert.ok((redisCommandsPerCall ?? 0) > 0, name);
    }
    const ours = report.costs.find(({ name }) => name === "hello, 64 in flight");
    const processes = ["gateway", "worker", "zygote and sandboxes", "redis", "load generator"];
    assert.deepEqual(Object.keys(ours?.cpuMsPerCall ?? {}), processes);
    const isOf = (suite: string) => report.costs.some((cost) => cost.suite === suite);
    assert.deepEqual(SUITE_NAMES.filter(isOf), ["sandbox", "cold", "warm", "kinds", "fresh", "scale", "trace"]);
  });

  test("says what larger machines would do, and holds that against what it measured", () => {
    const { predictions } = report;
    assert.ok(predictions.length > 0 && predictions.length % LARGER.length === 0, `${predictions.length}`);
    for (const { callsPerSecond, redisShare } of predictions) {
      assert.ok(Number.isFinite(callsPerSecond) && callsPerSecond > 0, `${callsPerSecond}`);
      assert.ok(redisShare >= 0 && redisShare <= 1.000001, `${redisShare}`);
    }
    const [size] = TINY.fleets;
    const held = report.ratios.find(({ name }) => name.startsWith(`the model / measured, ${size} gateways`));
    assert.ok(held !== undefined && held.value > 0);
    assert.match(formatReport(report), /first without time/);
    assert.match(formatHtml(report), /Larger machines, by the model/);
  });

  test("measures each target that needs no peer, or says why not", () => {
    const unmeasured = report.verdicts.filter(({ met }) => met === null).map(({ figure }) => figure);
    const needsMore = /miniflare|functions-framework|workerd|1,000 tenants/;
    const said = (name: string) => report.notes.some((note) => note.includes(`: ${name} is not measured: `));
    const rest = unmeasured
      .filter((figure) => !needsMore.test(figure))
      .filter((figure) => !(said("fresh") && figure.startsWith("a fresh process")))
      .filter((figure) => !ENGINE_NAMES.some((name) => said(name) && figure.includes(name)))
      .filter((figure) => !(said("bwrap node") && figure.includes("bwrap")));
    assert.deepEqual(rest, []);
    assert.equal(report.verdicts.length, TARGETS.length);
  });

  test("says of each peer that it is missing", () => {
    for (const name of PEER_NAMES)
      assert.ok(
        report.notes.some((note) => note.includes(name)),
        name,
      );
  });

  test("is shown as text and as a page with every figure in it", () => {
    const [table, page] = [formatReport(report), formatHtml(report)];
    for (const { name } of [...report.rows, ...report.ratios, ...report.costs]) {
      assert.ok(table.includes(name) && page.includes(name.replaceAll('"', "&quot;")), name);
    }
    for (const note of report.notes) assert.ok(table.includes(note));
    assert.equal(/<script|https?:\/\/|NaN|Infinity|undefined/.exec(page), null);
    assert.equal(page.split("<svg").length, page.split("</svg>").length);
  });

  test("is written into the documents between their markers, and again without a change", () => {
    for (const [path, figuresOf] of Object.entries(DOCUMENTS)) {
      const document = readFileSync(join(ROOT, path), "utf8");
      const once = withFigures(document, figuresOf(report));
      assert.equal(withFigures(once, figuresOf(report)), once, path);
      assert.ok(once.includes(report.machine.date.slice(0, 10)), path);
      // What is committed has the shape that the generator gives it.
      const committed = /<!-- figures[^>]*-->\n\n([\s\S]*?)\n\n<!-- end of figures -->/.exec(document)?.[1] ?? "";
      assert.equal(withFigures(document, committed), document, path);
    }
    assert.throws(() => withFigures("no markers", "x"), /lacks the markers/);
  });
});

test("what is measured is a platform whose worker has its second zygote", async () => {
  await using started = new AsyncDisposableStack();
  const platform = await startOurs(started, FULL);
  const [worker] = platform.workers;
  assert.ok(worker !== undefined);
  await eventually(() => platform.zygotes(worker).length > 1);
});

test("a run that is stopped leaves no process", async () => {
  const stop = new AbortController();
  const running = runBench({
    suites: ["sandbox"],
    plan: TINY,
    signal: stop.signal,
    onProgress: (what) => what === "sandbox: round 1" && stop.abort(new Error("stopped")),
  });
  await assert.rejects(running, /stopped/);
  assert.deepEqual(descendantsOf(process.pid), []);
});

test("the plans measure what the targets and the promises name", () => {
  for (const plan of [FULL, QUICK]) {
    assert.deepEqual(plan.populations[0], { functions: 1, tenants: 1 });
    assert.deepEqual(plan.populations.at(-1), { functions: 10_000, tenants: 1_000 });
    assert.ok(plan.inFlight.includes(1) && plan.inFlight.includes(64));
    for (const counts of [plan.fleets, plan.inFlight, plan.live.counts, plan.waitingJobs]) {
      assert.deepEqual(
        counts,
        [...counts].sort((a, b) => a - b),
      );
    }
  }
  assert.deepEqual([FULL.limitMs < 20 * 60_000, QUICK.limitMs < 3 * 60_000], [true, true]);
});

describe("the command", () => {
  test("writes JSON and a page, prints a table and tells its progress beside it", async () => {
    const [json, html] = [join(tempDir(), "bench.json"), join(tempDir(), "bench.html")];
    const { code, stdout, stderr } = await runMain(
      ...["--smoke", "--no-peers", "--json", json, "--html", html],
      "density",
    );
    assert.equal(code, 0, stderr);
    assert.match(stdout, /idle sandbox, unique/);
    assert.match(stderr, /density: finishing/);
    const report = JSON.parse(readFileSync(json, "utf8")) as Report;
    assert.deepEqual(report.suites, ["density"]);
    assert.ok(report.rows.length > 0);
    assert.match(readFileSync(html, "utf8"), /idle sandbox, unique/);
  });

  test("refuses what it does not know", async () => {
    const suite = await runMain("lukewarm");
    assert.deepEqual([suite.code, /no suite lukewarm/.test(suite.stderr)], [1, true]);
    const option = await runMain("--fast");
    assert.deepEqual([option.code, /--fast[\s\S]*Usage/.test(option.stderr)], [1, true]);
  });
});

describe("the model of larger machines", () => {
  const COSTS: CallCosts = {
    ...{ inFlight: 64, gatewayMs: 0.1, workerMs: 0.2, sandboxesMs: 0.05, redisMs: 0.05 },
    redisCommands: 3,
  };
  const said = (processors: number, processes: number, costs = COSTS, besideMs = 0) => {
    const of = predict(costs, { processors, gateways: processes, workers: processes }, besideMs);
    return [Math.round(of.callsPerSecond), of.limit, Math.round(of.redisShare * 100)];
  };

  test("has all processors busy where those are few", () => {
    assert.deepEqual(said(1, 1), [2_500, "processors", 13]);
    assert.deepEqual(said(1, 1, COSTS, 0.1), [2_000, "processors", 10]);
  });

  test("has the threads of workers or gateways busy where there are processors enough", () => {
    assert.deepEqual(said(8, 1), [5_000, "workers", 25]);
    assert.deepEqual(said(8, 2), [10_000, "workers", 50]);
    assert.deepEqual(said(16, 2, { ...COSTS, gatewayMs: 0.4 }), [5_000, "gateways", 25]);
  });

  test("has Redis busy in the end, however many processors there are", () => {
    assert.deepEqual(said(64, 8), [20_000, "Redis", 100]);
    assert.deepEqual(said(640, 80), [20_000, "Redis", 100]);
    assert.equal(predict(COSTS, { processors: 64, gateways: 8, workers: 8 }).redisCommandsPerSecond, 60_000);
  });

  test("counts no more threads than processors, and nothing by a cost that was not seen", () => {
    assert.deepEqual(said(2, 64), [5_000, "processors", 25]);
    assert.deepEqual(said(64, 8, { ...COSTS, redisMs: 0 }), [40_000, "workers", 0]);
  });
});

describe("what is said of samples", () => {
  test("a quantile is a value of the set", () => {
    const sorted = [1, 2, 3, 4, 100];
    assert.deepEqual(
      [0, 0.25, 0.5, 0.75, 0.99].map((part) => quantile(sorted, part)),
      [1, 2, 3, 4, 100],
    );
    assert.throws(() => quantile([], 0.5), RangeError);
  });

  test("a ratio compares medians, and its spread the rounds", () => {
    const [contender, floor] = [new Samples(), new Samples()];
    for (const values of [
      [1, 2, 3],
      [10, 20, 30],
    ])
      contender.addRound(values);
    for (const values of [
      [4, 4, 4],
      [5, 5, 5],
    ])
      floor.addRound(values);
    assert.deepEqual(ratioOf(contender, floor), { value: 3 / 4, p25: 0.5, p75: 4, contender: 3, floor: 4 });
    assert.deepEqual(ratioOf(contender, floor, 0.99), { value: 6, p25: 0.75, p75: 6, contender: 30, floor: 5 });
  });

  test("rounds that only one of the two sat through are not compared", () => {
    const [contender, floor] = [new Samples(), new Samples()];
    for (const values of [[8], [10], [12]]) contender.addRound(values);
    for (const values of [[2], [], [3]]) floor.addRound(values);
    assert.deepEqual(differenceOf(contender, floor).summary().byRound, [6, 9]);
    assert.deepEqual(floor.summary().byRound, [2, 3]);
    assert.equal(ratioOf(contender, floor).p75, 4);
  });

  test("a machine is slow or quiet by what a page fault costs there", () => {
    const costs = { systemCallUs: 1, forkMs: 1, contextSwitchUs: 1 };
    const classes = [0.5, 35].map((pageFaultUs) => classOf({ ...costs, pageFaultUs }));
    assert.deepEqual(classes, ["quiet", "slow"]);
  });

  test("a value meets its target on the right side of it", () => {
    assert.equal(judged({ bound: "at most", value: 2 }, 2).met, true);
    assert.equal(judged({ bound: "at most", value: 1.9 }, 2).met, false);
    assert.equal(judged({ bound: "at least", value: 2.1 }, 2).met, false);
  });

  test("a target that was not measured is shown as such", () => {
    const verdicts = judge(["trace"], { rows: [], ratios: [] });
    assert.deepEqual(
      verdicts.map(({ suite, measured, met }) => ({ suite, measured, met })),
      [{ suite: "trace", measured: null, met: null }],
    );
  });
});
