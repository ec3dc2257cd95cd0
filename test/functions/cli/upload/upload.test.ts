/**
 * What is uploaded must be all that the worker needs, and nothing else: each tree is bundled again
 * in a plain directory.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { bundle } from "../../../../functions/bundler/bundle.ts";
import { collectUpload, type Upload } from "../../../../functions/cli/upload/upload.ts";
import { COMMONJS_MARK } from "../../../../functions/model/bundling.ts";
import { checkSources } from "../../../../functions/model/sources.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const base = tempDir();

function tree(files: Record<string, string>, links: Record<string, string> = {}): string {
  const dir = mkdtempSync(join(base, "t-"));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
  for (const [path, target] of Object.entries(links)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    symlinkSync(target, join(dir, path));
  }
  return dir;
}

const collect = (dir: string, entry = "index.ts") =>
  collectUpload(dir, join(dir, entry), { color: false, terminalWidth: 80 });

const pathsOf = (upload: Upload) => upload.files.map(({ path }) => path);

/** Bundles an upload as a worker would, runs it, and gives what it prints. */
async function bundledAndRun(upload: Upload): Promise<string> {
  checkSources(upload.files);
  const dir = mkdtempSync(join(base, "plain-"));
  for (const { path, bytes } of upload.files) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), bytes);
  }
  const { entry, directory } = upload;
  const { code } = await bundle({ root: dir, directory, entry, external: [], nodeEnv: "production" });
  const file = join(dir, code.startsWith(COMMONJS_MARK) ? "out.cjs" : "out.mjs");
  writeFileSync(file, code);
  return execFileSync(process.execPath, [file]).toString();
}

describe("the upload", () => {
  it("is the inputs and what decides how they resolve, and nothing else", async () => {
    const dir = tree({
      "sandpiper.jsonc": "{}",
      ".env": "SECRET=1",
      "README.md": "not imported",
      "unused.ts": "",
      "package.json": '{"type": "module", "imports": {"#lib": "./src/lib.ts"}}',
      "tsconfig.json": '{"extends": "./base.json", // a comment\n "compilerOptions": {}}',
      "base.json": '{"extends": ["@conf/strict/tsconfig.json"], "compilerOptions": {"paths": {"~/*": ["./src/*"]}}}',
      "node_modules/@conf/strict/tsconfig.json": '{"compilerOptions": {"strict": true}}',
      "index.ts":
        "import lib from '#lib'; import text from './note.txt'; import alias from '~/alias'; console.log(lib, text, alias, require('dep/sub'));",
      "note.txt": "note",
      "src/lib.ts": "export default 'lib' as string",
      "src/alias.ts": "export default 'alias'",
      "node_modules/dep/package.json": '{"name": "dep"}',
      "node_modules/dep/unused.js": "",
      "node_modules/dep/sub/package.json": '{"main": "../lib/sub.js"}',
      "node_modules/dep/lib/sub.js": "module.exports = 'sub of ' + require('path').basename('/x/dep')",
    });
    const upload = await collect(dir);
    assert.equal(upload.root, dir);
    assert.equal(upload.entry, "index.ts");
    assert.deepEqual(pathsOf(upload), [
      "base.json",
      "index.ts",
      "node_modules/@conf/strict/tsconfig.json",
      "node_modules/dep/lib/sub.js",
      "node_modules/dep/package.json",
      "node_modules/dep/sub/package.json",
      "note.txt",
      "package.json",
      "src/alias.ts",
      "src/lib.ts",
      "tsconfig.json",
    ]);
    assert.equal(await bundledAndRun(upload), "lib note alias sub of dep\n");
  });

  it("is relative to the nearest directory that holds all of it", async () => {
    const dir = tree({
      "node_modules/dep/package.json": '{"main": "main.js"}',
      "node_modules/dep/main.js": "module.exports = 'hoisted'",
      "package.json": "{}",
      "fns/one/index.ts": "import d from 'dep'; import s from '../shared.ts'; console.log(d, s)",
      "fns/shared.ts": "export default 'shared'",
    });
    const upload = await collect(join(dir, "fns/one"));
    assert.equal(upload.root, dir);
    assert.equal(upload.entry, "fns/one/index.ts");
    assert.equal(await bundledAndRun(upload), "hoisted shared\n");
  });

  it("holds a tsconfig.json above the function, whose paths count", async () => {
    const dir = tree({
      "tsconfig.json": '{"compilerOptions": {"paths": {"~/*": ["./fns/one/*"]}}}',
      "fns/one/index.ts": "import a from '~/a'; console.log(a)",
      "fns/one/a.ts": "export default 'a'",
    });
    assert.equal(await bundledAndRun(await collect(join(dir, "fns/one"))), "a\n");
  });

  it("does not build: esbuild's own words, with file, line and the source line", async () => {
    const dir = tree({ "index.ts": "\nconst x: string = ;\n", "package.json": "{}" });
    await assert.rejects(collect(dir), (error: Error & { kind?: string }) => {
      assert.equal(error.kind, "build");
      assert.match(error.message, /Unexpected ";"[\s\S]*index\.ts:2:18:[\s\S]*const x: string = ;/);
      return true;
    });
  });

  it("says to install what package.json names when nothing is installed", async () => {
    const dir = tree({ "index.ts": "import 'left-pad'", "package.json": "{}" });
    await assert.rejects(collect(dir), { code: "BUILD_FAILED", hint: /npm install/ });
  });

  it("is refused when it is too large, with the largest files", async () => {
    const dir = tree({
      "index.ts": "import a from './a.dat'; import b from './b.txt'; console.log(a, b)",
      "b.txt": "b",
    });
    writeFileSync(join(dir, "a.dat"), "");
    truncateSync(join(dir, "a.dat"), 65 * 1024 * 1024);
    await assert.rejects(collect(dir), {
      code: "UPLOAD_TOO_LARGE",
      kind: "config",
      message: /65\.0 MiB {2}a\.dat\n[\s\S]*index\.ts/,
    });
  });

  it("is refused when a path cannot travel", async () => {
    const dir = tree({ "index.ts": "import './a\\\\b.ts'", "a\\b.ts": "" });
    await assert.rejects(collect(dir), { code: "BAD_SOURCE_PATH" });
  });

  it("is refused when the entry's name is a pattern to the bundler, and no other name is", async () => {
    const dir = tree({ "a*.ts": "export {}", "b.ts": "console.log('decoy')", "a=b.ts": "console.log('right')" });
    await assert.rejects(collect(dir, "a*.ts"), { code: "BAD_SOURCE_PATH", message: /"a\*\.ts" has a "\*"/ });
    assert.deepEqual(pathsOf(await collect(dir, "a=b.ts")), ["a=b.ts"]);
    const starred = tree({ "a*/index.ts": "console.log('right')", "ab/index.ts": "console.log('decoy')" });
    assert.deepEqual(pathsOf(await collect(join(starred, "a*"))), ["index.ts"]);
  });
});

describe("symbolic links", () => {
  it("of an npm workspace lead to the package, once", async () => {
    const dir = tree(
      {
        "package.json": '{"workspaces": ["packages/*"]}',
        "packages/lib/package.json":
          '{"name": "@ws/lib", "type": "module", "exports": {".": "./src/main.ts", "./deep": {"import": "./src/deep.ts"}}}',
        "packages/lib/src/main.ts": "import { count } from './count.ts'; export default () => ++count.n",
        "packages/lib/src/deep.ts":
          "import { count } from './count.ts'; import d from 'dep'; export default () => d + ++count.n",
        "packages/lib/src/count.ts": "export const count = { n: 0 }",
        "node_modules/dep/index.js": "module.exports = 'dep'",
        "fn/index.ts": "import a from '@ws/lib'; import b from '@ws/lib/deep'; console.log(a(), b())",
      },
      { "node_modules/@ws/lib": "../../packages/lib" },
    );
    const upload = await collect(join(dir, "fn"));
    assert.equal(await bundledAndRun(upload), "1 dep2\n");
    assert.equal(pathsOf(upload).filter((path) => path.endsWith("count.ts")).length, 1);
  });

  it("of pnpm lead to the packages and to the packages of packages", async () => {
    const store = "node_modules/.pnpm";
    const dir = tree(
      {
        "index.ts": "import a from 'a'; import b from 'b'; console.log(a, b)",
        [`${store}/a@1/node_modules/a/package.json`]: '{"main": "./lib/a.js"}',
        [`${store}/a@1/node_modules/a/lib/a.js`]: "module.exports = 'a with ' + require('b')",
        [`${store}/b@1/node_modules/b/index.js`]: "module.exports = 'b1'",
        [`${store}/b@2/node_modules/b/index.js`]: "module.exports = 'b2'",
      },
      {
        "node_modules/a": ".pnpm/a@1/node_modules/a",
        "node_modules/b": ".pnpm/b@1/node_modules/b",
        [`${store}/a@1/node_modules/b`]: "../../b@2/node_modules/b",
      },
    );
    assert.equal(await bundledAndRun(await collect(dir)), "a with b2 b1\n");
  });

  it("of files and directories lead there", async () => {
    const dir = tree(
      {
        "fn/index.ts": "import a from './a.ts'; import b from './lib/b'; console.log(a, b)",
        "other/b.ts": "export default 'b'",
        "other/c.ts": "export default 'c'",
      },
      { "fn/a.ts": "../other/c.ts", "fn/lib": "../other" },
    );
    assert.equal(await bundledAndRun(await collect(join(dir, "fn"))), "c b\n");
  });

  it("that would lead to two files are refused with both", async () => {
    const dir = tree(
      {
        "index.ts": "import a from 'dual'; import b from './c.cjs'; console.log(a, b)",
        "c.cjs": "module.exports = require('dual')",
        "lib/dual/package.json": '{"exports": {"import": "./a.mjs", "require": "./a.cjs"}}',
        "lib/dual/a.mjs": "export default 1",
        "lib/dual/a.cjs": "module.exports = 2",
      },
      { "node_modules/dual": "../lib/dual" },
    );
    await assert.rejects(collect(dir), { code: "AMBIGUOUS_LINK", kind: "build", message: /a\.cjs[\s\S]*a\.mjs/ });
  });
});

describe("included files", () => {
  const collectWith = (dir: string, include: string[]) =>
    collectUpload(dir, join(dir, "index.ts"), { color: false, terminalWidth: 200 }, { include, env: {} });

  const FILES = {
    "index.ts": "export default 1;",
    "sandpiper.jsonc": "{}",
    ".env": "SECRET=1",
    "views/.env.local": "SECRET=2",
    "views/a.html": "a",
    "views/deep/b.html": "b",
    "views/deep/c.md": "c",
    ".git/config": "",
    "node_modules/big/big.html": "big",
  };

  it("are what the patterns mean, and never secrets, links or what is about the function", async () => {
    const dir = tree(FILES, { "views/link.html": "/etc/passwd", linked: "/etc" });
    const included = async (...include: string[]) => (await collectWith(dir, include)).included;
    assert.deepEqual(await included("**"), ["index.ts", "views/a.html", "views/deep/b.html", "views/deep/c.md"]);
    assert.deepEqual(await included("**/*.html", "!views/deep"), ["views/a.html"]);
    assert.deepEqual(await included("views"), ["views/a.html", "views/deep/b.html", "views/deep/c.md"]);
    assert.deepEqual(await included("views/", "!**/*.md"), ["views/a.html", "views/deep/b.html"]);
    assert.deepEqual(await included("node_modules/big/*.html"), ["node_modules/big/big.html"]);
    for (const pattern of ["none/**", ".env", "linked/passwd", "views/link.html", "sandpiper.jsonc"])
      await assert.rejects(included(pattern), { code: "CONFIG_INVALID" }, pattern);
  });

  it("may have names that look like patterns", async () => {
    const dir = tree({
      "index.ts": "export default 1;",
      "[id].html": "a",
      "i.html": "b",
      "!x.html": "c",
      "(a)/b.html": "d",
    });
    const included = async (...include: string[]) => (await collectWith(dir, include)).included;
    assert.deepEqual(await included("[id].html"), ["[id].html", "i.html"]);
    assert.deepEqual(await included("(a)/b.html"), ["(a)/b.html"]);
    assert.deepEqual(await included("./(a)"), ["(a)/b.html"]);
  });

  it("travel with the sources, in the function's own directory", async () => {
    const dir = tree({
      "package.json": "{}",
      "shared/s.ts": "export default 1;",
      "fns/one/index.ts": `export { default } from "../../shared/s.ts";`,
      "fns/one/views/a.html": "a",
    });
    const upload = await collectWith(join(dir, "fns/one"), ["views/*"]);
    assert.deepEqual([upload.directory, upload.included], ["fns/one", ["fns/one/views/a.html"]]);
    assert.equal(String(upload.files.find(({ path }) => path === "fns/one/views/a.html")?.bytes), "a");
  });

  it("are limited", async () => {
    const dir = tree({ "index.ts": "export default 1;", "big.bin": "" });
    truncateSync(join(dir, "big.bin"), 33 * 1024 * 1024);
    await assert.rejects(collectWith(dir, ["*.bin"]), { code: "UPLOAD_TOO_LARGE" });
  });
});

describe("files that are read by a name in the code", () => {
  it("and are not included are warned of, with what to add", async () => {
    const dir = tree({
      "index.ts": `
        import { readFileSync, createReadStream, promises as fs } from "node:fs";
        import path, { join } from "node:path";
        export default () => [
          readFileSync("page.html"),
          readFileSync(path.join(__dirname, "views", "a.html")),
          createReadStream(new URL("./views/a.html?x".slice(0, -2), import.meta.url)),
          fs.readFile(new URL("./data.json", import.meta.url)),
          fs.readFile(\`\${process.cwd()}/there.txt\`),
          res.sendFile(__dirname + "/gone.html"),
          fs.readdir("views"),
          readFileSync("/tmp/own"), readFileSync("/etc/hosts"), readFileSync(name),
        ];`,
      "page.html": "",
      "views/a.html": "",
      "data.json": "",
      "there.txt": "",
    });
    const format = { color: false, terminalWidth: 200 };
    const { warnings } = await collectUpload(dir, join(dir, "index.ts"), format, { include: ["there.txt"], env: {} });
    const said = warnings.map((text) => /WARNING\] (.*)\n\n {4}(index\.ts:\d+)/.exec(text)?.slice(1).join(" @ "));
    const add = (name: string) => `will not be there: add "include": ["${name}"] to sandpiper.jsonc`;
    assert.deepEqual(said.sort(), [
      `data.json ${add("data.json")} @ index.ts:8`,
      `gone.html is not in the function's directory @ index.ts:10`,
      `page.html ${add("page.html")} @ index.ts:5`,
      `views ${add("views/**")} @ index.ts:11`,
      `views/a.html ${add("views/a.html")} @ index.ts:6`,
    ]);
  });
});
