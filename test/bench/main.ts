/**
 * `npm run bench -- [--quick | --smoke] [--no-peers] [--json FILE] [--html FILE] [SUITE...]`:
 * measures, and prints tables. `npm run bench -- --readme FILE`: writes the figures of such a JSON
 * file into the documents. docs/BENCHMARKS.md explains it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { noPeers, npmPeers } from "./peers/peers.ts";
import { formatHtml } from "./report/html.ts";
import { DOCUMENTS, withFigures } from "./report/readme.ts";
import { formatReport } from "./report/table.ts";
import { type Report, runBench, SUITE_NAMES, type SuiteName } from "./run/bench.ts";
import { FULL, QUICK, SMOKE } from "./run/plan.ts";

const USAGE = `Usage: npm run bench -- [--quick | --smoke] [--no-peers] [--json FILE] [--html FILE] [SUITE...]
       npm run bench -- --readme FILE
Suites: ${SUITE_NAMES.join(", ")} (all of them unless some are named)
`;
const ROOT = resolve(import.meta.dirname, "../..");
/** Out of git's sight, and of npm's. */
const PEERS = join(ROOT, ".sandpiper/bench");

function readArguments() {
  const { values, positionals } = parseArgs({
    options: {
      quick: { type: "boolean" },
      smoke: { type: "boolean" },
      json: { type: "string" },
      html: { type: "string" },
      "no-peers": { type: "boolean" },
      readme: { type: "string" },
      help: { type: "boolean" },
    },
    allowPositionals: true,
  });
  const isSuite = (name: string): name is SuiteName => SUITE_NAMES.includes(name as SuiteName);
  const unknown = positionals.find((name) => !isSuite(name));
  if (unknown !== undefined) throw new Error(`there is no suite ${unknown}`);
  const named = SUITE_NAMES.filter((name) => positionals.includes(name));
  return { ...values, suites: named.length > 0 ? named : SUITE_NAMES };
}

/**
 * What is measured must not depend on what npm, a terminal or a user's profile exports. @returns
 * what it was
 */
function emptyEnvironment(): NodeJS.ProcessEnv {
  const before = { ...process.env };
  for (const name of Object.keys(process.env)) if (name !== "PATH") delete process.env[name];
  return before;
}

function writeDocuments(file: string): void {
  const report = JSON.parse(readFileSync(file, "utf8")) as Report;
  for (const [path, figuresOf] of Object.entries(DOCUMENTS)) {
    const document = join(ROOT, path);
    writeFileSync(document, withFigures(readFileSync(document, "utf8"), figuresOf(report)));
    process.stderr.write(`wrote ${path}\n`);
  }
}

async function measure(options: ReturnType<typeof readArguments>): Promise<void> {
  const { suites, quick, smoke, json, html, "no-peers": alone } = options;
  if (process.getuid?.() !== 0) throw new Error("making sandboxes takes root: sudo npm run bench");
  const environment = emptyEnvironment();
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => stop.abort(new Error(`ended by ${signal}`)));
  }
  const onProgress = (text: string): void => {
    const seconds = Math.round(performance.now() / 1_000);
    process.stderr.write(`${String(seconds).padStart(4)} s  ${text}\n`);
  };
  const peers = alone ? noPeers("it was left out, as --no-peers says") : npmPeers(PEERS, environment, onProgress);
  const plan = smoke ? SMOKE : quick ? QUICK : FULL;
  const report = await runBench({ suites, plan, peers, onProgress, signal: stop.signal });
  process.stdout.write(formatReport(report));
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  if (html !== undefined) writeFileSync(html, formatHtml(report));
}

async function main(): Promise<void> {
  const options = readArguments();
  if (options.help) process.stdout.write(USAGE);
  else if (options.readme !== undefined) writeDocuments(options.readme);
  else await measure(options);
  // The IPC channel from infra/start.mjs would keep the process.
  process.disconnect?.();
}

try {
  await main();
} catch (error) {
  process.stderr.write(`error: ${(error as Error).message}\n${error instanceof TypeError ? USAGE : ""}`);
  process.exitCode = 1;
  process.disconnect?.();
}
