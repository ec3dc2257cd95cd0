/** `sandpiper types` as a process, and what the compiler makes of its file. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { it } from "node:test";
import { envTypesOf } from "../../../functions/cli/config/env-types.ts";
import { cli } from "../../helpers/cli.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const base = tempDir();
const FILE = "sandpiper-env.d.ts";
const TSC = resolve(import.meta.dirname, "../../../node_modules/typescript/bin/tsc");

function project(env: Record<string, string>): string {
  const directory = mkdtempSync(join(base, "d-"));
  writeFileSync(join(directory, "sandpiper.jsonc"), JSON.stringify({ name: "a", env }));
  return directory;
}

it("writes the names of the environment, and no value", async () => {
  const cwd = project({ TOKEN: "secret-value", GREETING: "Hello" });
  const { code, stdout, stderr } = await cli(["types"], { cwd });
  assert.deepEqual([code, stdout, stderr], [0, "", `wrote ${FILE}\n`]);
  const text = readFileSync(join(cwd, FILE), "utf8");
  assert.match(text, /interface Env \{\n {2}readonly GREETING: string;\n {2}readonly TOKEN: string;\n\}/);
  assert.doesNotMatch(text, /secret-value/);
  assert.match((await cli(["types"], { cwd })).stderr, /is up to date/);
});

it("only looks with --check, and ends with 1 when the file is not as it would be", async () => {
  const cwd = project({ A: "1" });
  const check = async () => (await cli(["types", "--check"], { cwd })).code;
  assert.equal(await check(), 1);
  assert.ok(!existsSync(join(cwd, FILE)));
  await cli(["types"], { cwd });
  assert.equal(await check(), 0);
  writeFileSync(join(cwd, "sandpiper.jsonc"), '{"name": "a", "env": {"B": "1"}}');
  assert.equal(await check(), 1);
  const json = await cli(["types", "--check", "--json"], { cwd });
  assert.deepEqual(
    [json.code, JSON.parse(json.stdout)],
    [1, { file: join(cwd, FILE), current: false, written: false }],
  );
  writeFileSync(join(cwd, "sandpiper.jsonc"), '{"name": "a", "environment": {}}');
  assert.equal((await cli(["types", "--check"], { cwd })).code, 3);
});

it("gives a handler's env and process.env types that the compiler holds to", async () => {
  const compile = (files: Record<string, string>) => {
    const directory = mkdtempSync(join(base, "c-"));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
    const options = ["--noEmit", "--strict", "--target", "es2024", "--module", "esnext", "--types", ""];
    try {
      execFileSync(process.execPath, [TSC, ...options, ...Object.keys(files)], { cwd: directory, encoding: "utf8" });
      return "";
    } catch (error) {
      return String((error as { stdout: string }).stdout);
    }
  };
  const types = {
    [FILE]: envTypesOf({ NAME: "x" }),
    "process.d.ts": "declare const process: { env: NodeJS.ProcessEnv };",
  };
  const right = "export default { fetch: (_: unknown, env: Env) => env.NAME + process.env.NAME };";
  assert.equal(compile({ ...types, "index.ts": right }), "");
  assert.match(compile({ ...types, "index.ts": right.replace("env.NAME", "env.OTHER") }), /'OTHER' does not exist/);
  assert.match(compile({ ...types, "index.ts": "export const f = (env: Env) => { env.NAME = 1; };" }), /read-only/);
});
