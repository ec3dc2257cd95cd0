/** The benchmark measures what it says, in the shape that it says. How fast anything is, is no matter of tests. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { type Report, runBench, SUITES } from "./bench/bench.ts";
import { ENGINE_NAMES } from "./bench/engines.ts";
import type { Plan } from "./bench/plan.ts";
import { descendantsOf } from "./bench/processes.ts";
import { quantile, ratioOf, Samples } from "./bench/stats.ts";
import { judged } from "./bench/suite.ts";
import { formatReport } from "./bench/table.ts";
import { tempDir } from "./helpers/temp-dir.ts";

const TINY: Plan = {
  rounds: 2,
  warmupRounds: 1,
  sandboxesPerRound: 2,
  sustainedPerRound: 2,
  boxesPerRound: 1,
  sustainedMs: 100,
  coldCallsPerRound: 1,
  warmBlockMs: 40,
};

/** What must not grow while boxes are made without a pause. */
const GROWTH = [
  "time of a box",
  "memory of the zygote",
  "slab of the kernel",
  "control groups",
  "network namespaces",
  "mounts of the zygote",
];

const MAIN = resolve(import.meta.dirname, "bench/main.ts");

async function runMain(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  return { code, stdout, stderr };
}

const positive = (values: readonly number[], what: string): void => {
  for (const value of values) assert.ok(Number.isFinite(value) && value > 0, `${what}: ${value}`);
};

function checkShape({ rows, ratios, machine }: Report): void {
  for (const { name, samples, median, p25, p75, p99, byRound } of rows) {
    positive([samples, median, p25, p75, p99, ...byRound], name);
    assert.ok(p25 <= median && median <= p75 && p75 <= p99, name);
    assert.equal(byRound.length, TINY.rounds, name);
  }
  for (const { name, value, p25, p75, target, met } of ratios) {
    positive([value, p25, p75], name);
    assert.equal(met === null, target === null, name);
  }
  assert.ok(Math.abs(Date.now() - Date.parse(machine.date)) < 600_000);
  assert.equal(machine.node, process.version);
  positive([machine.cores, machine.memoryBytes], "the machine");
}

test("every suite gives its rows, ratios and costs, and leaves no process", async () => {
  const report = await runBench({ suites: Object.keys(SUITES), plan: TINY });
  checkShape(report);
  assert.deepEqual(descendantsOf(process.pid), []);

  // Each engine is measured, or it is said why not.
  const isMissing = (name: string) => report.notes.some((note) => note.startsWith(`${name} is not measured: `));
  const engines = ENGINE_NAMES.filter((name) => !isMissing(name));
  assert.equal(engines.length + report.notes.length, ENGINE_NAMES.length);

  assert.deepEqual(
    report.ratios
      .filter(({ target }) => target !== null)
      .map(({ name, target }) => [name, target?.bound, target?.value]),
    [
      ["creation / node -e 0", "at most", 0.2],
      ...engines.flatMap((name): [string, string, number][] => [
        ...(name === "bwrap" ? [["/bin/true in a box / under bwrap", "at most", 1] as [string, string, number]] : []),
        [`node -e 0 under ${name} / JavaScript sandbox, created`, "at least", 6],
      ]),
      ...GROWTH.map((what) => [`${what}, second half / first half`, "at most", 1.2]),
      ["cold call / node -e 0", "at most", 0.5],
      ["latency / bare BullMQ, 1 in flight", "at most", 2],
      ["throughput / bare BullMQ, 64 in flight", "at least", 1.2],
    ],
  );
  const samples = (suite: string, name: string) =>
    report.rows.find((row) => row.suite === suite && row.name === name)?.samples;
  assert.equal(samples("sandbox", "creation, one after the other"), TINY.rounds * TINY.sandboxesPerRound);
  assert.equal(samples("cold", "cold call over HTTP"), TINY.rounds * TINY.coldCallsPerRound);

  const levels = [1, 16, 64].flatMap((count) =>
    ["hello", "bare BullMQ", "bare hono"].map((who) => `${who}, ${count} in flight`),
  );
  assert.deepEqual(
    report.costs.map(({ name }) => name),
    levels,
  );
  for (const { name, calls, cpuMsPerCall, redisCommandsPerCall } of report.costs) {
    positive([calls], name);
    if (!name.includes("hono")) positive([redisCommandsPerCall ?? Number.NaN], name);
    for (const value of Object.values(cpuMsPerCall)) assert.ok(value >= 0, name);
  }
  const hello = report.costs.find(({ name }) => name === "hello, 64 in flight");
  assert.deepEqual(Object.keys(hello?.cpuMsPerCall ?? {}), [
    "gateway",
    "worker",
    "zygote and sandboxes",
    "redis",
    "load generator",
  ]);

  const table = formatReport(report);
  for (const { name } of [...report.rows, ...report.ratios, ...report.costs]) assert.ok(table.includes(name), name);
  for (const note of report.notes) assert.ok(table.includes(note));
});

test("a run that is stopped leaves no process", async () => {
  const stop = new AbortController();
  const running = runBench({
    suites: ["sandbox", "warm"],
    plan: TINY,
    signal: stop.signal,
    onProgress: (what) => what === "warming up" && stop.abort(new Error("stopped")),
  });
  await assert.rejects(running, /stopped/);
  assert.deepEqual(descendantsOf(process.pid), []);
});

describe("the command", () => {
  test("writes JSON, prints a table and tells its progress beside it", async () => {
    const file = join(tempDir(), "bench.json");
    const { code, stdout, stderr } = await runMain("--quick", "--json", file, "sandbox");
    assert.equal(code, 0, stderr);
    assert.match(stdout, /creation \/ node -e 0/);
    assert.match(stderr, /round 1 of/);
    const report = JSON.parse(readFileSync(file, "utf8")) as Report;
    assert.deepEqual(report.suites, ["sandbox"]);
    assert.ok(report.ratios.length > 0);
  });

  test("refuses what it does not know", async () => {
    const suite = await runMain("lukewarm");
    assert.deepEqual([suite.code, /no suite lukewarm/.test(suite.stderr)], [1, true]);
    const option = await runMain("--fast");
    assert.deepEqual([option.code, /--fast[\s\S]*Usage/.test(option.stderr)], [1, true]);
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
    assert.deepEqual(ratioOf(contender, floor), { value: 3 / 4, p25: 0.5, p75: 4 });
  });

  test("a ratio meets its target on the right side of it", () => {
    const ratio = { suite: "s", name: "n", value: 2, p25: 1, p75: 3 };
    assert.equal(judged({ ...ratio, target: { bound: "at most", value: 2 } }).met, true);
    assert.equal(judged({ ...ratio, target: { bound: "at most", value: 1.9 } }).met, false);
    assert.equal(judged({ ...ratio, target: { bound: "at least", value: 2.1 } }).met, false);
    assert.equal(judged({ ...ratio, target: null }).met, null);
  });
});
