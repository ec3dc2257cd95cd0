/** What is made of modules as people write them. Each bundle is run by this Node, as a file. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { bundle, type FunctionBundle } from "../../../functions/bundler/bundle.ts";
import { BundleError, type BundleRequest } from "../../../functions/bundler/entry-build.ts";
import { MAX_PACKAGES } from "../../../functions/model/bundle-contents.ts";
import { COMMONJS_MARK } from "../../../functions/model/bundling.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const base = tempDir();

type Files = Record<string, string | Uint8Array>;

function made(files: Files, settings: Partial<BundleRequest> = {}): Promise<FunctionBundle> {
  const root = mkdtempSync(join(base, "t-"));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  const [entry = ""] = Object.keys(files);
  return bundle({ root, directory: "", entry, external: [], nodeEnv: "production", ...settings });
}

/** What the function's bundle prints. */
async function printed(files: Files, settings: Partial<BundleRequest> = {}): Promise<string> {
  const { code } = await made(files, settings);
  const file = join(mkdtempSync(join(base, "b-")), code.startsWith(COMMONJS_MARK) ? "out.cjs" : "out.mjs");
  writeFileSync(file, code);
  return execFileSync(process.execPath, [file]).toString().trim();
}

async function refusal(files: Files): Promise<string> {
  const error = await made(files).then(
    () => assert.fail("it was bundled"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof BundleError, String(error));
  return error.errors.map(({ text, notes }) => [text, ...(notes ?? []).map((note) => note.text)].join(" ")).join("\n");
}

const warnings = async (files: Files) => (await made(files)).warnings.map(({ text }) => text).join("\n");

/**
 * WebAssembly that exports 42 as `answer`, and `twice`, which is the function `scale` of a module.
 */
function scaling(module: string): Buffer {
  const named = (text: string) => [text.length, ...Buffer.from(text)];
  const section = (id: number, content: number[]) => [id, content.length, ...content];
  return Buffer.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 1, 0x7f, 1, 0x7f]),
    ...section(2, [1, ...named(module), ...named("scale"), 0, 0]),
    ...section(3, [1, 0]),
    ...section(6, [1, 0x7f, 0, 0x41, 42, 0x0b]),
    ...section(7, [2, ...named("twice"), 0, 1, ...named("answer"), 3, 0]),
    ...section(10, [1, 6, 0, 0x20, 0, 0x10, 0, 0x0b]),
  ]);
}

describe("a bundle", () => {
  it("of CommonJS stays CommonJS, sloppy code and all", async () => {
    const sloppy = `var t = 1; delete t; with ({ b: 2 }) t = b; undeclared = this === module.exports;
      console.log(t, undeclared, typeof require("fs").readFileSync, require("./a.json").a, require("./b").b, 010);`;
    const more = { "a.json": '{"a": 3}', "b.js": "exports.b = (function () { return this !== undefined; })();" };
    assert.equal(await printed({ "index.js": sloppy, ...more }), "2 true function 3 true 8");
    const { code } = await made({ "index.js": sloppy, ...more });
    assert.ok(code.startsWith(COMMONJS_MARK));
  });

  it("is a module when its entry is one, and takes sloppy packages in nonetheless", async () => {
    const awaits = await made({ "index.js": "console.log(await 1); export default 1;" });
    assert.ok(!awaits.code.startsWith(COMMONJS_MARK));
    const loud = {
      "index.ts": `import a from "./a.cjs"; console.log(a satisfies number);`,
      "a.cjs": "var x = 7; delete x; module.exports = x;",
    };
    assert.equal(await printed(loud), "7");
  });

  for (const [name, entry, text] of [
    ["with await at its top and no import", "index.js", "await 0; console.log('ran');"],
    [
      "with the words of a module in a text",
      "index.js",
      "const t = `\nexport default 1;`; var u = 1; delete u; console.log('ran');",
    ],
    ["with a line for a shell first", "index.js", "#!/usr/bin/env node\nexports.a = 1; console.log('ran');"],
    ["with a line for a shell, as a module", "index.mjs", "#!/usr/bin/env node\nexport default 1; console.log('ran');"],
    ["in TypeScript that exports by assignment", "index.ts", "const a: number = 1; console.log('ran'); export = a;"],
  ] as const) {
    it(`of an entry ${name} runs`, async () => assert.equal(await printed({ [entry]: text }), "ran"));
  }

  it("tells each of its modules where that one lies", async () => {
    const files = {
      "src/index.ts": `import { b } from "../lib/b.js"; console.log(JSON.stringify([__dirname, import.meta.filename, ...b, "__dirname"]));`,
      "lib/b.js": `import c from "./deep/c.cjs"; export const b = [import.meta.url, import.meta.dirname, ...c];`,
      "lib/deep/c.cjs": `const { join } = require("path"); module.exports = [__filename, join(__dirname, "x")];`,
    };
    assert.deepEqual(JSON.parse(await printed(files)), [
      ...["/function/src", "/function/src/index.ts", "file:///function/lib/b.js", "/function/lib"],
      ...["/function/lib/deep/c.cjs", "/function/lib/deep/x", "__dirname"],
    ]);
    const inside = Object.fromEntries(Object.entries(files).map(([path, text]) => [`apps/fn/${path}`, text]));
    assert.equal(JSON.parse(await printed(inside, { directory: "apps/fn" }))[1], "/function/src/index.ts");
  });

  it("keeps positions right where it tells places", async () => {
    const text = `export const a = [__dirname, import.meta.url]; export const thrown = () => { throw new Error("here"); };`;
    const { code, sourceMap } = await made({ "index.js": text });
    const { SourceMap } = await import("node:module");
    const [line, column] = positionOf(code, "new Error");
    const entry = new SourceMap(JSON.parse(sourceMap)).findEntry(line, column);
    assert.ok("originalColumn" in entry);
    assert.deepEqual([entry.originalLine, entry.originalColumn], [0, text.indexOf("new Error")]);
  });

  it("is a main program where it exports nothing, and a library else", async () => {
    assert.equal(await printed({ "index.js": "if (require.main === module) console.log('main');" }), "main");
    assert.equal(await printed({ "index.mjs": "if (import.meta.main) console.log('main');" }), "main");
    const library = "console.log(require.main === module ? 'main' : 'library'); exports.handler = () => {};";
    assert.equal(await printed({ "index.mjs": "export default 1; console.log(String(import.meta.main));" }), "false");
    // Under a Node of its own the file is the main module, under the runtime it is not.
    const { code } = await made({ "index.js": library });
    assert.match(code, /require\.main ===/);
  });

  it("has NODE_ENV as it is set, so that code for other times is left out", async () => {
    const files = {
      "index.js": `console.log(process.env.NODE_ENV); if (process.env.NODE_ENV === "test") import("not-installed"); exports.a = 1;`,
    };
    assert.equal(await printed(files), "production");
    assert.equal(await printed(files, { nodeEnv: "staging" }), "staging");
    assert.equal(await warnings(files), "");
  });

  it("takes files in as what an import asks for", async () => {
    // (module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))
    const wasm = Buffer.from("AGFzbQEAAAABBwFgAn9/AX8DAgEABwcBA2FkZAAACgkBBwAgACABags=", "base64");
    const files = {
      "index.ts": `
        import add from "./add.wasm";
        import again from "./add.wasm?module";
        import init from "./add.wasm?init";
        import bytes from "./add.wasm?bytes";
        import same from "./add.wasm" with { type: "bytes" };
        import raw from "./a.ts?raw";
        import text from "./a.odd" with { type: "text" };
        import url from "./a.svg?url";
        import svg from "./a.svg";
        import data from "./data.dat" with { type: "json" };
        const sum = (module) => new WebAssembly.Instance(module).exports.add(2, 3);
        console.log(JSON.stringify([sum(add), sum(again), (await init()).exports.add(1, 1), bytes.length, same.length, raw, text, url, svg, data.a]));`,
      "add.wasm": wasm,
      "a.ts": "let a: 1;",
      "a.odd": "odd",
      "a.svg": "<svg/>",
      "data.dat": '{"a": 1}',
    };
    const url = `data:image/svg+xml,<svg/>`;
    const found = JSON.parse(await printed(files));
    assert.deepEqual(found, [5, 5, 2, wasm.length, wasm.length, "let a: 1;", "odd", url, "<svg/>", 1]);
    const { files: read } = await made(files);
    assert.deepEqual(
      read.map((path) => path.replace(/^.*\//, "")).sort(),
      ["a.odd", "a.svg", "a.ts", "add.wasm", "data.dat", "index.ts"].flatMap(
        (name) =>
          // Read as it is, and by a query, is one file by two names.
          ({ "add.wasm": [name, name], "a.svg": [name, name] })[name] ?? [name],
      ),
    );
  });

  it("has what an instance of WebAssembly exports, with modules as what it imports", async () => {
    const uses = `import { twice, answer } from "./a.wasm"; import * as all from "./a.wasm";
      console.log(twice(4), answer, Object.keys(all).sort().join(), String(all.default));`;
    const scale = { "scale.js": "export const scale = (x) => x * 2;" };
    const files = { "index.js": uses, "a.wasm": scaling("./scale.js"), ...scale };
    assert.equal(await printed(files), "8 42 answer,default,twice [object WebAssembly.Module]");
    const { imports } = await made(files);
    assert.ok(imports.some(({ importer, resolved }) => importer === "a.wasm" && resolved === "scale.js"));

    // Made by hand where an import is none of a module.
    const byHand = `import m from "./a.wasm"; const env = { scale: (x) => x + 1 };
      console.log(new WebAssembly.Instance(m, { env }).exports.twice(4));`;
    assert.equal(await printed({ "index.js": byHand, "a.wasm": scaling("env") }), "5");
    const required = `const m = require("./a.wasm").default; console.log(WebAssembly.Module.exports(m).length);`;
    assert.equal(await printed({ "index.js": required, "a.wasm": scaling("env") }), "2");
    assert.match(
      await refusal({ "index.js": uses, "a.wasm": scaling("env") }),
      /No matching export in "a\.wasm" for import "twice" .*new WebAssembly\.Instance\(wasm, imports\)/,
    );
  });

  it("makes no instance of WebAssembly that nobody uses", async () => {
    const files = { "index.js": `import m from "./a.wasm"; console.log(String(m));`, "scale.js": "export {};" };
    // Without `scale` there can be no instance.
    assert.equal(await printed({ ...files, "a.wasm": scaling("./scale.js") }), "[object WebAssembly.Module]");
  });

  it("leaves out what may be missing, with a word about it", async () => {
    const files = {
      "index.js": `
        import one from "one";
        const tried = () => { try { return require("not-tried"); } catch { return null; } };
        const later = () => import("not-later/sub");
        console.log(one(), tried(), await later().catch((error) => error.code));
        export default 1;`,
      "node_modules/one/index.js": `module.exports = () => { try { return lazy(); } catch (error) { return error.code; } };
        const lazy = () => require("not-lazy");`,
    };
    assert.equal(await printed(files), "MODULE_NOT_FOUND null ERR_MODULE_NOT_FOUND");
    assert.match(await warnings(files), /fails when it is called: not-later\/sub, not-lazy, not-tried$/);
    assert.match(await refusal({ "index.js": `export default require("missing");` }), /Could not resolve "missing"/);
    assert.match(await refusal({ "index.js": `import "missing";` }), /Could not resolve "missing"/);
    const external = await made({ "index.js": `export const a = () => import("left");` }, { external: ["left"] });
    assert.deepEqual([external.warnings, /import\("left"\)/.test(external.code)], [[], true]);
  });

  it("reads tsconfig.json for JSX and paths", async () => {
    const files = {
      "index.tsx": `import { name } from "~/name"; console.log(<b>{name}</b>); export default 1;`,
      "tsconfig.json": `{"compilerOptions": {"jsx": "react-jsx", "jsxImportSource": "tiny", "paths": {"~/*": ["./src/*"]}}}`,
      "src/name.ts": `export const name = "n";`,
      "node_modules/tiny/package.json": `{"exports": {"./jsx-runtime": "./jsx.js"}}`,
      "node_modules/tiny/jsx.js": `export const jsx = (tag, { children }) => tag + ":" + children;`,
    };
    assert.equal(await printed(files), "b:n");
  });
});

describe("what cannot be bundled is named, with a remedy", () => {
  for (const [name, specifier, words] of [
    ["URLs", "https://deno.land/std/a.ts", /is not fetched: install the package from npm/],
    ["Deno's names of packages", "npm:@hono/zod@1.2", /run npm install @hono\/zod, and import "@hono\/zod"/],
    ["JSR's", "jsr:@std/path@^1", /run npx jsr add @std\/path/],
    ["Bun's modules", "bun:sqlite", /functions run on Node 24/],
    ["modules that Node has not", "node:nothing", /Node 24 has no module "node:nothing"/],
    ["what Lambda has in its runtime", "@aws-sdk/client-s3", /npm install @aws-sdk\/client-s3/],
    ["the old SDK of AWS", "aws-sdk/clients/s3", /npm install aws-sdk$/m],
    ["layers of Lambda", "/opt/nodejs/shared", /in a layer of AWS Lambda/],
  ] as const) {
    it(name, async () => {
      assert.match(
        await refusal({ "index.js": `import x from ${JSON.stringify(specifier)}; export default x;` }),
        words,
      );
    });
  }

  it("files of a kind that is not known", async () => {
    const message = await refusal({ "index.js": `import x from "./a.odd"; export default x;`, "a.odd": "" });
    assert.match(message, /No loader is configured for ".odd" files.* with \{ type: "text" \}/);
  });

  it("native addons, which fail where they are loaded", async () => {
    const files = {
      "index.js": `const tried = () => { try { return require("bcrypt"); } catch (error) { return error; } };
        const { code, message } = tried();
        console.log(code, message); exports.a = 1;`,
      "node_modules/bcrypt/index.js": `module.exports = require("./build/bcrypt_lib.node");`,
      "node_modules/bcrypt/package.json": `{"name": "bcrypt", "gypfile": true}`,
    };
    assert.match(await printed(files), /^ERR_DLOPEN_FAILED The native addon .*bcrypt_lib\.node.* use bcryptjs\.$/);
    assert.equal(await warnings(files), `"bcrypt" has native code, which no sandbox loads: use bcryptjs`);
    assert.match(
      await warnings({ "index.js": `exports.a = require("./own.node");` }),
      /"\.\/own\.node" is native code/,
    );
  });

  it("packages that bring an addon for each platform, and those that need none", async () => {
    const importing = (name: string, manifest: object) => ({
      "index.js": `export { default } from "${name}";`,
      [`node_modules/${name}/index.js`]: "module.exports = 1;",
      [`node_modules/${name}/package.json`]: JSON.stringify(manifest),
    });
    const platform = { optionalDependencies: { "fast-linux-x64-gnu": "1" } };
    assert.match(await warnings(importing("fast", platform)), /"fast" has native code.* in JavaScript or WebAssembly/);
    assert.equal(await warnings(importing("bufferutil", { dependencies: { "node-gyp-build": "1" } })), "");
    assert.equal(await warnings(importing("plain", { dependencies: { ms: "1" } })), "");
  });

  it("modules of Node's that do nothing in a sandbox, where a function itself imports one", async () => {
    const own = { "index.js": `import { spawn } from "node:child_process"; export default () => spawn("ls");` };
    assert.match(await warnings(own), /index\.js imports "node:child_process": no other program can be started/);
  });
});

describe("threads of a function", () => {
  it("are bundled beside it, by the ways that a Worker is started", async () => {
    const { threads, files } = await made({
      "src/index.ts": `
        import { Worker } from "node:worker_threads";
        export default () => [
          new Worker(new URL("./a.ts", import.meta.url)),
          new Worker(join(__dirname, "b.cjs")),
          new Worker(new URL("./none.js", import.meta.url)),
        ];`,
      "src/a.ts": `import { add } from "./add.ts"; import { Worker } from "node:worker_threads";
        new Worker(new URL("deep/c.js", import.meta.url)); console.log(add(1, 1));`,
      "src/add.ts": `export const add = (a: number, b: number) => a + b;`,
      "src/b.cjs": `require("node:worker_threads").parentPort.postMessage(1);`,
      "src/deep/c.js": `console.log(import.meta.url);`,
    });
    assert.deepEqual(threads.map(({ path }) => path).sort(), ["src/a.ts", "src/b.cjs", "src/deep/c.js"]);
    assert.ok(files.includes("src/add.ts"));
    assert.match(
      threads.find(({ path }) => path === "src/deep/c.js")?.code ?? "",
      /file:\/\/\/function\/src\/deep\/c\.js/,
    );
  });
});

it("tells whose code a bundle is, and what of the runtime is left in it", async () => {
  const { contents } = await made({
    "index.ts": `import net from "net"; import { used } from "big"; import { createHash } from "node:crypto";
      import "@scope/small"; export default () => [net, used];`,
    "node_modules/big/package.json": '{ "name": "big", "main": "index.js", "sideEffects": false }',
    "node_modules/big/index.js": `import fs from "node:fs"; export const used = ${JSON.stringify("u".repeat(5_000))};
      export const unused = () => fs;`,
    "node_modules/@scope/small/package.json": '{ "name": "@scope/small", "main": "index.mjs" }',
    "node_modules/@scope/small/index.mjs": "console.log(1);",
  });
  const names = contents.packages.map(({ name }) => name);
  assert.deepEqual([names[0], names.slice(1).sort()], ["big", ["@scope/small", null]]);
  const [big] = contents.packages;
  assert.ok(big && big.bytes > 5_000 && big.bytes < 5_500);
  assert.ok(contents.builtins.includes("node:net"));
  assert.ok(!contents.builtins.includes("net"));
});

it("tells of no more packages than are kept, and how many there are besides", async () => {
  const names = Array.from({ length: MAX_PACKAGES + 5 }, (_, index) => `p${index}`);
  const packages = names.map((name) => [`node_modules/${name}/index.mjs`, "console.log(1);"]);
  const { contents } = await made({
    "index.mjs": names.map((name) => `import "${name}/index.mjs";`).join(""),
    ...Object.fromEntries(packages),
  });
  assert.equal(contents.packages.length, MAX_PACKAGES);
  assert.ok(contents.others.count >= 5 && contents.others.bytes > 0);
});

function positionOf(code: string, words: string): [line: number, column: number] {
  const before = code.slice(0, code.indexOf(words)).split("\n");
  return [before.length - 1, (before.at(-1) ?? "").length];
}
