/**
 * `npm run test:egress -- [--cache DIRECTORY] [--list] [NAME...]`: deploys the examples of
 * docs/EGRESS.md as they stand there, and runs them against real servers, over the relay.
 *
 * Packages are installed from npm once, at pinned versions, into a directory outside of the tree.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ensureProgram } from "../../infra/up/apt-install.ts";
import { createSteps } from "../../infra/up/steps.ts";
import { runLongForm, say } from "../helpers/long-form.ts";
import { npmInstall } from "../helpers/npm.ts";
import type { ClientExample } from "./example.ts";
import { ClientRun } from "./run.ts";
import { DATABASES } from "./servers/databases.ts";
import { OWN } from "./servers/own.ts";
import { SERVICES } from "./servers/services.ts";

const EXAMPLES: readonly ClientExample[] = [...OWN, ...DATABASES, ...SERVICES];

/** The node_modules with the packages of all examples; it has its name only when it is whole. */
async function install(cache: string, env: NodeJS.ProcessEnv): Promise<string> {
  const packages = EXAMPLES.flatMap((example) => example.packages);
  const digest = createHash("sha256").update(packages.join()).digest("hex").slice(0, 12);
  const [directory, unfinished] = [join(cache, digest), join(cache, `${digest}.${process.pid}`)];
  if (existsSync(directory)) return join(directory, "node_modules");
  try {
    await mkdir(unfinished, { recursive: true });
    await writeFile(join(unfinished, "package.json"), JSON.stringify({ name: "clients", private: true }));
    await npmInstall(unfinished, packages, env);
    await rename(unfinished, directory);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return join(directory, "node_modules");
}

/** MariaDB is what the other tests do without. */
async function ensureMariadb(env: NodeJS.ProcessEnv): Promise<void> {
  const steps = createSteps(process.stdout, !env.NO_COLOR);
  const otherwise = "its example is left out";
  await ensureProgram({ program: "mariadbd", packages: ["mariadb-server-core"], otherwise }, env, steps).catch(
    () => undefined,
  );
}

async function outcomeOf(example: ClientExample, run: ClientRun): Promise<"passed" | "skipped" | "failed"> {
  const reason = example.missing?.() ?? null;
  if (reason !== null) {
    say(`﹣ ${example.name} # SKIPPED: ${reason}\n`);
    return "skipped";
  }
  try {
    await run.check(example);
    say(`✔ ${example.name}\n`);
    return "passed";
  } catch (error) {
    say(`✖ ${example.name}\n  ${(error as Error).message}\n`);
    return "failed";
  }
}

async function runAll(examples: readonly ClientExample[], cache: string, env: NodeJS.ProcessEnv): Promise<number> {
  await ensureMariadb(env);
  await using run = await ClientRun.start(examples, await install(cache, env));
  const outcomes = { passed: 0, skipped: 0, failed: 0 };
  for (const example of examples) outcomes[await outcomeOf(example, run)] += 1;
  const { passed, skipped, failed } = outcomes;
  say(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  return failed === 0 ? 0 : 1;
}

await runLongForm(
  { script: "test:egress", cacheName: "clients", cases: EXAMPLES, noun: "example" },
  (examples, cache) => runAll(examples, cache, process.env),
);
