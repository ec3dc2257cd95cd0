/** Each template of `sandpiper init`: made, installed, type-checked, deployed and called. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { cp, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { after, before, it, type TestContext } from "node:test";
import { promisify } from "node:util";
import { TEMPLATES } from "../../functions/cli/commands/init.ts";
import { Platform } from "../helpers/platform.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const ROOT = resolve(import.meta.dirname, "../..");
/** Packages of templates, from run to run. */
const INSTALLED = join(ROOT, ".sandpiper/templates");
const run = promisify(execFile);

let platform: Platform;
const base = tempDir();
before(async () => {
  platform = await Platform.start();
});
after(() => platform.stop());

/** Of a package.json, as npm would leave it; kept by what it names. */
async function installed(packageJson: string): Promise<string> {
  const directory = join(INSTALLED, createHash("sha256").update(packageJson).digest("hex").slice(0, 16));
  if (existsSync(directory)) return directory;
  const unfinished = `${directory}.${process.pid}`;
  await mkdir(unfinished, { recursive: true });
  try {
    await writeFile(join(unfinished, "package.json"), packageJson);
    const environment = Object.entries(process.env).filter(
      ([name]) => !/^npm_(package|lifecycle|config_local)/.test(name),
    );
    const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
    await run("npm", ["install", ...options], { cwd: unfinished, env: Object.fromEntries(environment) });
    await rename(unfinished, directory);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return directory;
}

/** Makes a function of the template, with its packages; gives its directory, or skips the test. */
async function made(t: TestContext, template: string): Promise<string | null> {
  const cwd = mkdtempSync(join(base, "d-"));
  const { code, stderr } = await platform.cli(["init", template, "--template", template], { cwd });
  assert.equal(code, 0, stderr);
  const directory = join(cwd, template);
  const packageJson = readFileSync(join(directory, "package.json"), "utf8");
  if (!/ependencies"/.test(packageJson)) return directory;
  try {
    const from = await installed(packageJson);
    await cp(join(from, "node_modules"), join(directory, "node_modules"), { recursive: true, verbatimSymlinks: true });
    return directory;
  } catch (error) {
    t.skip(`npm cannot install its packages: ${String(error).split("\n").slice(0, 3).join(" ")}`);
    return null;
  }
}

/** What a name beside "world" is for: the query reaches each of them. */
const GREETED = { message: "Hello, Ada!" };

it("are all in functions/templates, and described", () => {
  assert.deepEqual(readdirSync(join(ROOT, "functions/templates")).sort(), Object.keys(TEMPLATES).sort());
});

for (const template of Object.keys(TEMPLATES)) {
  it(`${template} is deployed as it is made, and answers`, async (t) => {
    const directory = await made(t, template);
    if (directory === null) return;
    const url = (await platform.deploy(directory)).replace(/\/$/, "");
    const invoked = await platform.cli(["invoke", template, "--path", "/?name=Ada"]);
    assert.deepEqual([invoked.code, JSON.parse(invoked.stdout)], [0, GREETED], `${url} ${invoked.stderr}`);
    assert.equal(
      (await platform.cli(["types", directory, "--check"])).code,
      existsSync(join(directory, "tsconfig.json")) ? 0 : 1,
    );
    if (template === "hono") {
      const { stdout } = await platform.cli(["invoke", template, "--path", "/hello/Ada"]);
      assert.deepEqual(JSON.parse(stdout), GREETED);
    }
    if (template === "express") {
      const { stdout } = await platform.cli(["invoke", template, "--path", "/echo", "--data", '{"a":1}']);
      assert.deepEqual(JSON.parse(stdout), { a: 1 });
    }
    if (template === "websocket-ready") {
      const upgrade = ["-H", "connection: upgrade", "-H", "upgrade: websocket"];
      const { stdout } = await platform.cli(["invoke", template, ...upgrade]);
      assert.partialDeepStrictEqual(JSON.parse(stdout), { error: { code: "UPGRADE_NOT_SUPPORTED" } });
    }
  });

  it(`${template} has types that are right`, async (t) => {
    const directory = await made(t, template);
    if (directory === null || !existsSync(join(directory, "tsconfig.json"))) return;
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    await run(process.execPath, [tsc, "--noEmit", "--skipLibCheck"], { cwd: directory }).catch((error) => {
      assert.fail(error.stdout);
    });
  });
}
