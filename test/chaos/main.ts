/**
 * `npm run chaos -- [--minutes N] [--only NAME]... [--rate N] [--seed N] [--strict] [--report FILE]
 * [--logs DIRECTORY] [--list]`: has Sandpiper go through faults while calls run, and counts.
 * HACKING.md explains it.
 *
 * All of it runs in namespaces of its own, for networks and for mounts: what it cuts and fills is
 * nobody else's, and goes with it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Code, installPackage, useInstalled } from "./code.ts";
import { type Entry, entryOf, failedEntry, formatEntry, formatMarkdown, isBroken } from "./report.ts";
import { type ChaosRun, type Plan, runOnce } from "./run.ts";
import { RUNS } from "./runs.ts";

const USAGE = `Usage: npm run chaos -- [--minutes N] [--only NAME]... [--rate N] [--seed N] [--strict]
                        [--report FILE.md|FILE.json] [--logs DIRECTORY] [--list]
`;
/** Starting, coming to rest and ending, which the minutes have to pay for. */
const AROUND_MS = 15_000;
const LEAST_MS = 12_000;

function readArguments() {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "20" },
      only: { type: "string", multiple: true, default: [] },
      rate: { type: "string", default: "30" },
      seed: { type: "string", default: "1" },
      strict: { type: "boolean", default: false },
      report: { type: "string" },
      logs: { type: "string" },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
      // What was installed, as JSON.
      inside: { type: "string" },
    },
  });
  const unknown = values.only.find((name) => !RUNS.some((run) => run.name === name));
  if (unknown !== undefined) throw new TypeError(`there is no run ${unknown}: --list shows them`);
  const runs = RUNS.filter(({ name }) => values.only.length === 0 || values.only.includes(name));
  const [minutes, rate, seed] = [positive("minutes", values), positive("rate", values), Number(values.seed)];
  return { ...values, runs, minutes, rate, seed };
}

type Options = ReturnType<typeof readArguments>;

function positive<K extends string>(name: K, values: Record<K, string>): number {
  const value = Number(values[name]);
  if (!(value > 0)) throw new TypeError(`--${name} must be a number above 0`);
  return value;
}

/**
 * This program once more, in namespaces that end with it. npm needs the network, and installs
 * before. @returns its exit code
 */
async function runInside(runs: readonly ChaosRun[]): Promise<number> {
  if (process.getuid?.() !== 0) throw new Error("making sandboxes takes root: sudo npm run chaos");
  const installed = runs.some(({ site }) => site?.installed) ? await installPackage() : null;
  const script = 'ip link set lo up && exec "$@"';
  const again = [process.execPath, ...process.execArgv, import.meta.filename, ...process.argv.slice(2)];
  again.push("--inside", JSON.stringify(installed));
  const child = spawn("unshare", ["--net", "--mount", "sh", "-c", script, "sh", ...again], { stdio: "inherit" });
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, forward);
  // infra/start.mjs was killed.
  process.once("disconnect", () => child.kill("SIGTERM"));
  process.channel?.unref();
  const [code] = (await once(child, "exit")) as [number | null];
  return code ?? 1;
}

function planOf({ minutes, runs, rate, seed, logs }: Options, run: ChaosRun): Plan {
  const loadMs = Math.max(LEAST_MS, (minutes * 60_000) / runs.length - AROUND_MS);
  return {
    ...{ warmUpMs: 2_000, beforeMs: 0.25 * loadMs, duringMs: 0.35 * loadMs, afterMs: 0.4 * loadMs },
    ...{ rate, seed, timeoutMs: 15_000, lostMs: 60_000 },
    logs: logs === undefined ? undefined : directory(join(resolve(logs), run.name)),
  };
}

function directory(path: string): string {
  mkdirSync(path, { recursive: true });
  return path;
}

async function runAll(options: Options): Promise<boolean> {
  const installed = JSON.parse(options.inside ?? "null") as Code | null;
  if (installed !== null) useInstalled(installed);
  const entries: Entry[] = [];
  for (const run of options.runs) {
    const entry = await runOnce(run, planOf(options, run)).then(entryOf, (error: Error) =>
      failedEntry(run, error.message),
    );
    entries.push(entry);
    process.stdout.write(`${formatEntry(entry)}\n`);
  }
  const broken = entries.filter((entry) => isBroken(entry, options.strict));
  process.stdout.write(`${entries.length} runs, ${broken.length} broken (seed ${options.seed})\n`);
  if (options.report !== undefined) writeReport(options.report, entries);
  return broken.length === 0;
}

function writeReport(file: string, entries: readonly Entry[]): void {
  const text = file.endsWith(".json") ? `${JSON.stringify(entries, null, 2)}\n` : formatMarkdown(entries);
  writeFileSync(file, text);
}

async function main(): Promise<number> {
  const options = readArguments();
  if (options.help) process.stdout.write(USAGE);
  else if (options.list) for (const { name, what } of RUNS) process.stdout.write(`${name.padEnd(24)} ${what}\n`);
  else if (options.inside === undefined) return runInside(options.runs);
  else return (await runAll(options)) ? 0 : 1;
  return 0;
}

try {
  process.exit(await main());
} catch (error) {
  process.stderr.write(`error: ${(error as Error).message}\n${error instanceof TypeError ? USAGE : ""}`);
  process.exit(1);
}
