/**
 * Runs the tests: `node test/run.ts [PATH...]`, everything without arguments. A path is a file or a
 * directory.
 *
 * Files run two at a time, each in a process of its own. What measures the whole machine, or starts
 * all of Sandpiper, runs after the others and alone: the directories of `ALONE`, and files named
 * `*.alone.test.ts`.
 *
 * Modules as Node compiles them are kept while they run (helpers/compile-cache.ts). How slow the
 * machine is is measured before (helpers/slowness.ts). At the end stand the files that took
 * longest, and the tests that failed.
 *
 * When everything runs, a few files that fail run once more, alone: what passes then is named as
 * unstable and fails nobody's run. Each name there is a fault to find, in the test or in Sandpiper.
 */
import { globSync } from "node:fs";
import { relative, resolve } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { startCompileCache } from "./helpers/compile-cache.ts";
import { slowness } from "./helpers/slowness.ts";

const ROOT = resolve(import.meta.dirname, "..");
const ALONE = ["test/e2e/", "test/corpus/", "test/chaos/", "test/escape/"];
const SLOWEST = 10;
/** More failing files than this are no matter of chance, and are not run again. */
const MOST_AGAIN = 3;
/** Ends the process of a file that hangs. */
const WATCHDOG = new URL("./helpers/watchdog.ts", import.meta.url).href;

interface Totals {
  tests: number;
  passed: number;
  failed: number;
  skipped: number;
}

function findTests(paths: readonly string[]): string[] {
  const wanted = paths.map((path) => relative(ROOT, resolve(path)));
  const found = globSync("test/**/*.test.ts", { cwd: ROOT }).sort();
  if (wanted.length === 0) return found;
  return found.filter((file) => wanted.some((path) => path === "" || file === path || file.startsWith(`${path}/`)));
}

function runsAlone(file: string): boolean {
  return file.endsWith(".alone.test.ts") || ALONE.some((directory) => file.startsWith(directory));
}

/** Seconds of each file that ran. */
const tookSeconds = new Map<string, number>();

interface Failure {
  readonly file: string;
  readonly name: string;
}

/** The tests that failed: the report above is long, and ends with what passed. */
const failures: Failure[] = [];

/** Notes how long a file took. */
function noteTime(file: string, ms: number): void {
  tookSeconds.set(relative(ROOT, file), ms / 1_000);
}

/** The files that took longest, a line for each. */
function slowestFiles(): string {
  const slowest = [...tookSeconds].sort(([, one], [, other]) => other - one).slice(0, SLOWEST);
  return slowest.map(([file, seconds]) => `${seconds.toFixed(1).padStart(8)} s  ${file}\n`).join("");
}

/** Runs files, prints node's own report, and counts. */
async function runFiles(files: readonly string[], concurrency: number): Promise<Totals> {
  const totals: Totals = { tests: 0, passed: 0, failed: 0, skipped: 0 };
  if (files.length === 0) return totals;
  const events = run({
    cwd: ROOT,
    files: files.map((file) => resolve(ROOT, file)),
    concurrency,
    execArgv: ["--import", WATCHDOG],
  });
  // The process of a file that was ended gives no summary.
  events.on("test:fail", ({ name, file, details }) => {
    failures.push({ file: relative(ROOT, file ?? ""), name });
    if (file !== undefined && resolve(ROOT, name) === file) noteTime(file, details.duration_ms);
  });
  events.on("test:summary", ({ file, counts, success, duration_ms }) => {
    if (file !== undefined) return noteTime(file, duration_ms);
    totals.tests = counts.tests;
    totals.passed = counts.passed;
    totals.skipped = counts.skipped + counts.todo;
    totals.failed = counts.tests - counts.passed - totals.skipped;
    // A file that fails outside of its tests is no failed test, and still a failure.
    if (!success && totals.failed === 0) totals.failed = 1;
  });
  for await (const text of events.compose(new spec())) process.stdout.write(text);
  return totals;
}

/** Runs again what failed, if that is little: null when it was not run. */
async function runAgain(failed: readonly Failure[]): Promise<Totals | null> {
  const again = new Set(failed.map(({ file }) => file));
  const isLittle = again.size > 0 && again.size <= MOST_AGAIN && !again.has("");
  if (!isLittle) return null;
  process.stdout.write(`\nonce more, alone: ${[...again].join(", ")}\n\n`);
  return runFiles([...again], 1);
}

function linesOf(title: string, of: readonly Failure[]): string {
  return of.length === 0 ? "" : `\n${title}\n${of.map(({ file, name }) => `✖ ${file}: ${name}\n`).join("")}`;
}

const startMs = performance.now();
startCompileCache();
process.stdout.write(`budgets of time are ${slowness()} times those of a quiet machine\n\n`);
const files = findTests(process.argv.slice(2));
const together = await runFiles(
  files.filter((file) => !runsAlone(file)),
  2,
);
const alone = await runFiles(files.filter(runsAlone), 1);
const firstFailures = failures.splice(0);
const failedFirst = together.failed + alone.failed;
const isWhole = process.argv.length === 2;
const again = isWhole && failedFirst > 0 ? await runAgain(firstFailures) : null;
const failed = again?.failed ?? failedFirst;
const passed = together.passed + alone.passed + Math.max(0, failedFirst - failed);
if (files.length === 0) process.stdout.write(`no test matches ${process.argv.slice(2).join(" ")}\n`);
process.stdout.write(`\nslowest files\n${slowestFiles()}`);
if (failed === 0) process.stdout.write(linesOf("unstable: failed, and passed when they ran once more", firstFailures));
else process.stdout.write(linesOf("failed", again === null ? firstFailures : failures));
const seconds = Math.round((performance.now() - startMs) / 1_000);
process.stdout.write(
  `\n${seconds} s\n${passed} passed, ${failed} failed, ${together.skipped + alone.skipped} skipped\n`,
);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
