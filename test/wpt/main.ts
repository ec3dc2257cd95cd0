/**
 * `npm run test:wpt -- DIRECTORY [FILTER...]`: runs web-platform tests in sandboxes and in plain
 * Node, and names each subtest that passes there and not here. DIRECTORY is a checkout of
 * web-platform-tests, such as test/fixtures/wpt of Node's sources.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { openTestLauncher, SandboxClient } from "../helpers/sandbox-client.ts";
import { type Page, pagesOf } from "./pages.ts";

interface Result {
  name: string;
  status: number;
  message: string | null;
}

const USAGE = "Usage: npm run test:wpt -- DIRECTORY [FILTER...]\n";
const MEMORY_MIB = 512;
const RUNNER = join(import.meta.dirname, "run-page.mjs");
/** Beyond the page's own, for those that wait until then. */
const MORE_MS = 30_000;
/** Times that a page is run again before its difference counts: some of them race with a timer. */
const TRIES = 3;

async function inPlainNode(page: Page): Promise<Result[]> {
  const code = `import { runPage } from ${JSON.stringify(RUNNER)};
    import { json } from "node:stream/consumers";
    import { writeSync } from "node:fs";
    const bytes = Buffer.from(JSON.stringify(await runPage(await json(process.stdin))));
    for (let sent = 0; sent < bytes.length; ) sent += writeSync(3, bytes, sent);
    process.exit();`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", code], {
    stdio: ["pipe", "ignore", "ignore", "pipe"],
  });
  child.stdin?.end(JSON.stringify(page));
  return (await json(child.stdio[3] as NodeJS.ReadableStream)) as Result[];
}

async function inSandbox(page: Page, launcher: ZygoteLauncher): Promise<Result[]> {
  const code = `${readFileSync(RUNNER, "utf8").replace("export async", "async")}
    const page = ${JSON.stringify(page)};
    export default async () => new Response(JSON.stringify(await runPage(page)));`;
  const limits = { memoryBytes: MEMORY_MIB * 1024 * 1024 };
  await using client = await SandboxClient.with(launcher, code, { limits, timeoutMs: page.timeoutMs + MORE_MS });
  const { body, failed, endError } = await client.reply(client.request());
  const error = failed ?? endError;
  return error ? broken(error.message) : JSON.parse(body.toString());
}

/** The results of a page that gave none. */
const broken = (message: string): Result[] => [{ name: "the page", status: 1, message }];

const passes = (results: readonly Result[]) => results.filter(({ status }) => status === 0).map(({ name }) => name);

/** Names of what passes in plain Node and not in a sandbox each time, with the reason. */
async function compare(page: Page, launcher: ZygoteLauncher): Promise<{ passed: number; lost: Map<string, string> }> {
  let lost: Map<string, string> | undefined;
  let passed = 0;
  for (let run = 0; run < TRIES && lost?.size !== 0; run++) {
    const [plain, ours] = await Promise.all([
      inPlainNode(page),
      inSandbox(page, launcher).catch((error: Error) => broken(error.message)),
    ]);
    const [theirs, kept] = [passes(plain), new Set(passes(ours))];
    passed = theirs.length;
    const before = lost;
    const still = theirs.filter((name) => !kept.has(name) && (before?.has(name) ?? true));
    lost = new Map(still.map((name) => [name, reasonOf(name, ours)]));
  }
  return { passed, lost: lost ?? new Map() };
}

function reasonOf(name: string, results: readonly Result[]): string {
  return (
    [...results.filter((result) => result.name === name), ...results].find(({ message }) => message)?.message ??
    "it did not run"
  );
}

async function main([directory, ...filters]: string[]): Promise<number> {
  if (directory === undefined || !existsSync(join(directory, "resources/testharness.js")))
    throw new TypeError("the first word must be a checkout of web-platform-tests, with resources/testharness.js");
  const launcher = await openTestLauncher({ memoryMiB: MEMORY_MIB });
  const total = { pages: 0, passed: 0, lost: 0 };
  try {
    for (const page of pagesOf(directory, filters)) {
      const { passed, lost } = await compare(page, launcher);
      total.pages++;
      total.passed += passed;
      total.lost += lost.size;
      if (lost.size > 0) process.stdout.write(`✖ ${page.path}\n`);
      for (const [name, reason] of lost) process.stdout.write(`  ${name}: ${reason}\n`);
    }
  } finally {
    await launcher.close();
  }
  process.stdout.write(
    `${total.pages} pages; ${total.passed} subtests pass in plain Node, ${total.lost} of them fail in a sandbox\n`,
  );
  return total.lost === 0 && total.passed > 0 ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n${USAGE}`);
  process.exitCode = 2;
}
