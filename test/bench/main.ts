/** `npm run bench -- [--quick] [--json FILE] [SUITE...]`: measures, and prints a table. docs/BENCHMARKS.md explains it. */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { runBench, SUITES } from "./bench.ts";
import { FULL, QUICK } from "./plan.ts";
import { formatReport } from "./table.ts";

const USAGE = `Usage: npm run bench -- [--quick] [--json FILE] [SUITE...]
Suites: ${Object.keys(SUITES).join(", ")} (all of them unless some are named)
`;

function readArguments() {
  const { values, positionals } = parseArgs({
    options: { quick: { type: "boolean" }, json: { type: "string" }, help: { type: "boolean" } },
    allowPositionals: true,
  });
  const unknown = positionals.find((name) => !Object.hasOwn(SUITES, name));
  if (unknown !== undefined) throw new Error(`there is no suite ${unknown}`);
  const suites = positionals.length > 0 ? [...new Set(positionals)] : Object.keys(SUITES);
  return { ...values, suites };
}

/** What is measured must not depend on what npm, a terminal or a user's profile exports. */
function emptyEnvironment(): void {
  for (const name of Object.keys(process.env)) if (name !== "PATH") delete process.env[name];
}

async function main(): Promise<void> {
  const { suites, quick, json, help } = readArguments();
  if (help) return void process.stdout.write(USAGE);
  if (process.getuid?.() !== 0) throw new Error("making sandboxes takes root: sudo npm run bench");
  emptyEnvironment();
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => stop.abort(new Error(`ended by ${signal}`)));
  }
  const report = await runBench({
    suites,
    plan: quick ? QUICK : FULL,
    onProgress: (text) => void process.stderr.write(`${text}\n`),
    signal: stop.signal,
  });
  process.stdout.write(formatReport(report));
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
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
