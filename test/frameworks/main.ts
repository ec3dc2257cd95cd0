/**
 * `npm run test:frameworks -- [--cache DIRECTORY] [--list] [NAME...]`: deploys a small application
 * of each framework to a real platform, runs it under plain Node as well, and compares their
 * answers.
 *
 * Packages are installed from npm once, at pinned versions, into a directory outside of the tree.
 */
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Platform } from "../helpers/platform.ts";
import type { App } from "./app.ts";
import { BUILT } from "./apps/built.ts";
import { ROUTERS } from "./apps/routers.ts";
import { SERVERS } from "./apps/servers.ts";
import { differences } from "./compare.ts";
import { startPlain } from "./plain-node.ts";
import { prepare } from "./project.ts";

const APPS: readonly App[] = [...ROUTERS, ...SERVERS, ...BUILT];
const USAGE = "Usage: npm run test:frameworks -- [--cache DIRECTORY] [--list] [NAME...]\n";

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      cache: { type: "string", default: join(homedir(), ".cache/sandpiper/frameworks") },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const unknown = positionals.find((name) => !APPS.some((app) => app.name === name));
  if (unknown !== undefined) throw new TypeError(`there is no application ${unknown}: --list shows them`);
  const apps = APPS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  return { ...values, cache: resolve(values.cache), apps };
}

/** What is wrong with an application here; nothing, when it answers as under plain Node. */
async function problemsOf(app: App, platform: Platform, cache: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  try {
    const directory = await prepare(app, cache, env);
    const plain = await startPlain(app, directory);
    try {
      const ours = (await platform.deploy(directory)).replace(/\/+$/, "");
      return await differences(app, { ours, plain: plain.url });
    } finally {
      await plain.stop();
    }
  } catch (error) {
    return [(error as Error).message];
  }
}

async function main(env: NodeJS.ProcessEnv): Promise<number> {
  const { apps, cache, list, help } = readArguments();
  if (help) return say(USAGE);
  if (list) return say(`${apps.map(({ name }) => name).join("\n")}\n`);
  await mkdir(cache, { recursive: true });
  const platform = await Platform.start();
  let failed = 0;
  try {
    for (const app of apps) {
      const problems = await problemsOf(app, platform, cache, env);
      if (problems.length > 0) failed++;
      say(`${problems.length === 0 ? "✔" : "✖"} ${app.name}\n${problems.map((problem) => `  ${problem}\n`).join("")}`);
    }
  } finally {
    await platform.stop();
  }
  say(`${apps.length - failed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}

try {
  process.exitCode = await main(process.env);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n${USAGE}`);
  process.exitCode = 2;
}
