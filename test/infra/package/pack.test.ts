/** The published package: packed, installed somewhere else, started. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { before, describe, test } from "node:test";
import { promisify } from "node:util";
import { tempDir } from "../../helpers/temp-dir.ts";
import { brokenLinks } from "../../tidy/text.ts";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../../..");
const project = tempDir();
const installed = join(project, "node_modules", "sandpiper");

before(async () => {
  await run("npm", ["pack", "--pack-destination", project], { cwd: ROOT });
  const tarball = readdirSync(project).find((name) => name.endsWith(".tgz"));
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "elsewhere", private: true }));
  // By the document, and without a word of npm's, whose own Node may be older than the pinned one.
  const document = readFileSync(join(ROOT, "docs/DEPLOYMENT.md"), "utf8");
  const options = / npm install (--.*) \.\/sandpiper/.exec(document)?.[1]?.split(" ") ?? [];
  const args = ["install", ...options, "--prefer-offline", "--no-audit", "--no-fund", `./${tarball}`];
  const { stderr } = await run("npm", args, { cwd: project });
  assert.equal(stderr, "");
});

test("npm warns of nothing in a checkout either", async () => {
  const { stdout } = await run("npm", ["config", "get", "loglevel"], { cwd: ROOT });
  assert.equal(stdout, "error\n");
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
  const sources = files.filter((name) => /(?<!\.d)\.ts$/.test(name) && !name.startsWith("functions/templates"));
  assert.deepEqual(sources, []);
});

test("its documents link to what came along", () => {
  const documents = globSync("{*,docs/*}.md", { cwd: installed });
  assert.ok(documents.includes("docs/SANDBOX-CORE.md"));
  const texts = documents.map((path) => ({ path, text: readFileSync(join(installed, path), "utf8") }));
  assert.deepEqual(
    brokenLinks(texts, (path) => existsSync(join(installed, path))),
    [],
  );
});

/** docs/SANDBOX-CORE.md: each example runs as it stands there, and prints what stands behind it. */
describe("its library", () => {
  const document = readFileSync(join(ROOT, "docs/SANDBOX-CORE.md"), "utf8");
  const blocks = [...document.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, text = ""]) => ({
    language,
    text,
  }));
  const examples = blocks.filter(({ language }) => language === "ts").map(({ text }) => text);

  /** The heading that an example stands under. */
  function headingOf(example: string): string {
    const before = document.slice(0, document.indexOf(example));
    return before.slice(before.lastIndexOf("\n## ") + 4).split("\n")[0] ?? "";
  }

  /** The example as a file of a project that has the package installed. */
  function written(example: string): string {
    const directory = mkdtempSync(join(project, "example-"));
    writeFileSync(join(directory, "package.json"), '{"type":"module"}');
    writeFileSync(join(directory, "example.ts"), example);
    return join(directory, "example.ts");
  }

  test("has examples and outputs in turn", () => {
    assert.ok(blocks.length >= 12);
    assert.deepEqual(
      blocks.map(({ language }) => language),
      blocks.map((_, index) => (index % 2 === 0 ? "ts" : "text")),
    );
  });

  test("declares its types", async () => {
    const files = [
      ...examples,
      'import { Box } from "sandpiper/sandbox-core";\nexport const wrong: number = Box;\n',
    ].map(written);
    const compilerOptions = { ...strictOptions(), typeRoots: [join(ROOT, "node_modules/@types")] };
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
    const args = [join(ROOT, "node_modules/typescript/bin/tsc"), "--project", project, "--pretty", "false"];
    await assert.rejects(run(process.execPath, args, { cwd: project }), ({ stdout }: { stdout: string }) => {
      const errors = stdout.trim().split("\n");
      assert.match(errors.join("\n"), /error TS2322: Type 'typeof Box' is not assignable to type 'number'/);
      return errors.length === 1;
    });
  });

  for (const example of examples) {
    test(headingOf(example), async () => {
      const { stdout } = await run(process.execPath, [written(example)]);
      const output = blocks[blocks.findIndex(({ text }) => text === example) + 1];
      assert.equal(stdout, output?.text);
    });
  }
});

function strictOptions() {
  const { compilerOptions } = JSON.parse(readFileSync(join(ROOT, "tsconfig.json"), "utf8"));
  return { ...compilerOptions, skipLibCheck: false };
}
