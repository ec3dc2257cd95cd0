/**
 * `npm run test:frameworks -- [--cache DIRECTORY] [--list] [NAME...]`: deploys a small application
 * of each framework to a real platform, runs it under plain Node as well, and compares their
 * answers.
 *
 * Packages are installed from npm once, at pinned versions, into a directory outside of the tree.
 */
import { mkdir } from "node:fs/promises";
import { runLongForm, say } from "../helpers/long-form.ts";
import { Platform } from "../helpers/platform.ts";
import type { App } from "./app.ts";
import { BUILT } from "./apps/built.ts";
import { ROUTERS } from "./apps/routers.ts";
import { SERVERS } from "./apps/servers.ts";
import { differences } from "./compare.ts";
import { startPlain } from "./plain-node.ts";
import { prepare } from "./project.ts";

const APPS: readonly App[] = [...ROUTERS, ...SERVERS, ...BUILT];

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

async function runAll(apps: readonly App[], cache: string, env: NodeJS.ProcessEnv): Promise<number> {
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

await runLongForm(
  { script: "test:frameworks", cacheName: "frameworks", cases: APPS, noun: "application" },
  (apps, cache) => runAll(apps, cache, process.env),
);
