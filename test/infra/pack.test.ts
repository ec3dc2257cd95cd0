/** The published package: packed, installed somewhere else, started. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { before, test } from "node:test";
import { promisify } from "node:util";
import { tempDir } from "../helpers/temp-dir.ts";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../..");
const project = tempDir();
const installed = join(project, "node_modules", "sandpiper");

before(async () => {
  await run("npm", ["pack", "--pack-destination", project], { cwd: ROOT });
  const tarball = readdirSync(project).find((name) => name.endsWith(".tgz"));
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "elsewhere", private: true }));
  const args = ["install", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", `./${tarball}`];
  await run("npm", args, { cwd: project });
});

test("its command starts, and teaches", async () => {
  const { stdout } = await run(join(project, "node_modules", ".bin", "sandpiper"), ["--help"], { cwd: project });
  assert.match(stdout, /^Usage: sandpiper/);
  assert.match(stdout, /deploy/);
});

test("it can make a new function, as the templates came along", async () => {
  await run(join(project, "node_modules", ".bin", "sandpiper"), ["init", "hi"], { cwd: project });
  assert.ok(statSync(join(project, "hi", "sandpiper.jsonc")).isFile());
});

test("gateway and worker load, down to the first setting that lacks", async () => {
  for (const service of ["gateway", "worker"]) {
    const main = join(installed, "dist", service, "main.js");
    const node = join(project, "node_modules", ".bin", "node");
    const started = run(node, [main], { cwd: project, env: { ...process.env, REDIS_URL: "http://wrong" } });
    await assert.rejects(started, (error: { code: number; stderr: string }) => {
      assert.match(error.stderr, /REDIS_URL must be/);
      return error.code === 78;
    });
  }
});

test("the JavaScript names no TypeScript file to load", () => {
  const files = readdirSync(join(installed, "dist"), { recursive: true, encoding: "utf8" });
  for (const file of files.filter((name) => name.endsWith(".js"))) {
    const text = readFileSync(join(installed, "dist", file), "utf8");
    assert.doesNotMatch(text, /(?:from|import|resolve|URL)\s*\(?\s*["'][^"']+\.ts["']/, file);
  }
  assert.ok(!files.some((name) => name.endsWith(".ts") && !name.startsWith("functions/templates")));
});
