/** An application on disk, with its packages: installed once, built anew in each run. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { npmInstall } from "../helpers/npm.ts";
import type { App } from "./app.ts";

/**
 * The directory of an application, ready to be run and deployed.
 * @param cache where applications are kept from run to run, with their packages
 * @param environment npm's, and that of what builds
 * @throws Error with what npm or the build said
 */
export async function prepare(app: App, cache: string, environment: NodeJS.ProcessEnv): Promise<string> {
  const digest = createHash("sha256").update(app.packages.join()).digest("hex").slice(0, 12);
  const directory = join(cache, `${app.name}-${digest}`);
  if (!existsSync(directory)) await install(directory, app, environment);
  // Of another run there may be files that this application has no more.
  for (const name of await readdir(directory)) {
    if (name !== "node_modules" && name !== "package.json") await rm(join(directory, name), { recursive: true });
  }
  const manifest = { name: app.name, ...app.config, entry: app.entry };
  await write(directory, { ...app.files, "sandpiper.jsonc": JSON.stringify(manifest) });
  for (const { argv, env = {} } of app.build ?? []) await build(directory, argv, { ...environment, ...env });
  return directory;
}

/** A directory has its name only when all of it is there. */
async function install(directory: string, app: App, environment: NodeJS.ProcessEnv): Promise<void> {
  const unfinished = `${directory}.${process.pid}`;
  try {
    const type = app.entry.endsWith(".cjs") ? "commonjs" : "module";
    await write(unfinished, { "package.json": JSON.stringify({ name: app.name, private: true, type }) });
    if (app.packages.length > 0) await npmInstall(unfinished, app.packages, environment);
    await rename(unfinished, directory);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

async function write(directory: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
}

async function build(directory: string, [program, ...args]: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(process.execPath, [join(directory, "node_modules/.bin", String(program)), ...args], {
    cwd: directory,
    env: { ...env, NODE_ENV: "production", CI: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text: Buffer) => {
      said = (said + text).slice(-4_000);
    });
  }
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}: ${said.trim()}`);
}
