import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMONJS_MARK as MARK_OF_BUNDLES } from "../../../functions/model/bundling.ts";
import { COMMONJS_MARK } from "../../../sandbox-core/protocol/frames.ts";
import { RuntimeClient } from "../../helpers/runtime-client.ts";

async function loadFailure(code: string): Promise<{ message: string; name: string; code: number | null }> {
  await using runtime = await RuntimeClient.start();
  const loaded = await runtime.load(code);
  assert.equal(loaded.type, "load_failed");
  const { message, name } = (loaded as { error: { message: string; name: string } }).error;
  return { message, name, code: (await runtime.exited).code };
}

test("a module without a handler says what it exports and what is accepted", async () => {
  const { message, code } = await loadFailure("export const a = 1; export const b = null; export default 'c';");
  assert.match(message, /It exports a \(number\), b \(null\), default \(string\)\./);
  assert.match(message, /export default { fetch\(request, env, ctx\).*export const handler/);
  assert.equal(code, 81);
  assert.match((await loadFailure("")).message, /It exports nothing\./);
});

test("what goes wrong while loading is told", async () => {
  assert.match((await loadFailure("throw new RangeError('at load')")).message, /^at load$/);
  assert.equal((await loadFailure("let a = ;")).name, "SyntaxError");
  assert.match((await loadFailure("import 'hono'")).message, /Cannot load the module "hono"/);
  assert.match(
    (await loadFailure("import './x.js'")).message,
    /"\.\/x\.js": it is neither in the bundle nor beside it/,
  );
  assert.match((await loadFailure("import { nothing } from 'node:fs'")).message, /nothing/);
  assert.match(
    (await loadFailure("await new Promise(() => setTimeout(() => { throw new Error('aside') }))")).message,
    /aside/,
  );
  assert.match(
    (await loadFailure("Promise.reject(new Error('unheard')); await new Promise(() => {})")).message,
    /unheard/,
  );
});

const kinds: [what: string, code: string, answer: string][] = [
  [
    "an object of a class",
    "class A { #a = 'a'; fetch() { return new Response(this.#a) } }; export default new A()",
    "a",
  ],
  ["a function with a method fetch", "const f = () => 1; f.fetch = () => new Response('a'); export default f", "a"],
  ["both a default and a handler", "export default () => new Response('a'); export const handler = () => 'b'", "a"],
  ["a handler that is the default", "export const handler = async () => 'b'; export default handler", "b"],
  ["CommonJS with a handler", "export default { handler: async () => 'b' }", "b"],
  ["CommonJS that is a function", "export default (0, () => new Response('a'))", "a"],
  ["TypeScript as CommonJS", "export default { __esModule: true, default: { fetch: () => new Response('a') } }", "a"],
  ["TypeScript as CommonJS, Lambda", "export default { __esModule: true, handler: async () => 'b' }", "b"],
  ["a Response of a package", "export default () => ({ status: 200, headers: new Map(), body: null })", ""],
];

for (const [what, code, answer] of kinds) {
  test(`a handler is found in ${what}`, async () => {
    await using runtime = await RuntimeClient.with(code);
    assert.equal(await runtime.text(), answer);
  });
}

test("built-ins are imported by both names, statically, dynamically and by require", async () => {
  // The wrapper that esbuild puts around CommonJS, and top-level await.
  await using runtime = await RuntimeClient.with(`
    import fs, { readFileSync } from "node:fs";
    import * as path from "path";
    var __require = /* @__PURE__ */ ((x) => typeof require !== "undefined" ? require : x)(function () { throw Error("no"); });
    const { createHash } = await import("crypto");
    const again = await import("node:crypto");
    const late = () => import("node:zlib");
    const refused = await import("left-pad").catch((error) => error.message);
    export default async () => Response.json([
      fs.readFileSync === readFileSync, path.join("a", "b"), typeof createHash, again.createHash === createHash,
      typeof (await late()).gzip, __require("util").format("%s", 1), typeof __require("node:fs/promises").readFile,
      refused, import.meta.url, import.meta.dirname, require.resolve("fs"),
    ]);`);
  assert.deepEqual(JSON.parse(await runtime.text()), [
    true,
    "a/b",
    "function",
    true,
    "function",
    "1",
    "function",
    'Cannot load the module "left-pad": it is neither in the bundle nor beside it. ' +
      "Import it by a literal name and have it installed at deployment, so that it is bundled, " +
      'or name its files in "include" of sandpiper.jsonc.',
    "file:///function/index.js",
    "/function",
    "fs",
  ]);
});

test("a function is loaded once, and keeps its state from call to call", async () => {
  await using runtime = await RuntimeClient.with("let n = 0; export default () => new Response(String(++n))");
  assert.equal(await runtime.text(), "1");
  assert.equal(await runtime.text(), "2");
  await assert.rejects(runtime.load(""), /The runtime is gone/);
  assert.equal((await runtime.exited).code, 82);
});

test("a bundle of several megabytes loads", async () => {
  const filler = `export const filler = "${"x".repeat(3 * 1024 * 1024)}";`;
  await using runtime = await RuntimeClient.with(`${filler}; export default () => new Response(String(filler.length))`);
  assert.equal(await runtime.text(), String(3 * 1024 * 1024));
});

test("a function sees its configured environment and nothing of the host's", async () => {
  await using runtime = await RuntimeClient.start({ HOST_SECRET: "x", PATH: "/usr/bin" });
  const env = Object.fromEntries([
    ["A", "1"],
    ["TZ", "Asia/Tokyo"],
    ["__proto__", "p"],
    ["SANDPIPER_FUNCTION", "forged"],
  ]);
  await runtime.load(
    `export default (request, env) => Response.json({
      process: { ...process.env }, keys: Object.keys(env), a: env.A, proto: Object.getOwnPropertyDescriptor(env, "__proto__")?.value,
      hour: new Date(0).getHours(), argv: process.argv, path: process.execPath, exec: process.execArgv, pid: process.pid });`,
    { env },
  );
  const seen = JSON.parse(await runtime.text());
  assert.deepEqual(
    seen.process,
    Object.fromEntries([
      ["NODE_ENV", "production"],
      ["TZ", "Asia/Tokyo"],
      ["HOME", "/tmp"],
      ["TMPDIR", "/tmp"],
      ["PORT", "8080"],
      ["A", "1"],
      ["__proto__", "p"],
      ["SANDPIPER_FUNCTION", "hello"],
      ["SANDPIPER_VERSION", "f".repeat(64)],
    ]),
  );
  assert.deepEqual(seen.keys.sort(), ["A", "SANDPIPER_FUNCTION", "TZ", "__proto__"]);
  assert.deepEqual([seen.a, seen.proto, seen.hour], ["1", "p", 9]);
  assert.deepEqual(seen.argv, ["node", "/function/index.js"]);
  assert.deepEqual([seen.path, seen.exec, seen.pid], ["/usr/local/bin/node", [], runtime.process.pid]);
});

test("a function that replaces the globals still gets its calls and answers", async () => {
  await using runtime = await RuntimeClient.with(`
    const { stringify } = JSON;
    globalThis.JSON = null;
    globalThis.Response = class extends Response {};
    globalThis.Request = globalThis.setImmediate = globalThis.setTimeout = null;
    Promise.prototype.then = () => { throw new Error("then"); };
    Date.now = () => { throw new Error("now"); };
    export default ({ url }) => { console.log("logged"); return new Response(url); };`);
  assert.equal(await runtime.text(), "http://localhost:8080/fn/main/hello/");
  assert.equal(runtime.logs[0]?.text, "logged");
});

test("a bundle that says so is a CommonJS module", async () => {
  assert.equal(COMMONJS_MARK, MARK_OF_BUNDLES);
  const sloppy = `${COMMONJS_MARK}
    var t = 1; delete t;
    const own = this === module.exports && exports === module.exports;
    const missing = () => import("left-pad").catch((error) => error.code);
    module.exports = async () => Response.json([
      own, typeof require("fs").readFileSync, require.main === module, require.main.filename, __filename, __dirname,
      (function () { return this === globalThis; })(), (await import("node:path")).sep, await missing(),
    ]);`;
  await using runtime = await RuntimeClient.with(sloppy);
  const seen = [true, "function", false, "/function/index.js", "/function/index.js", "/function"];
  assert.deepEqual(JSON.parse(await runtime.text()), [...seen, true, "/", "ERR_MODULE_NOT_FOUND"]);
  const compiled = `${COMMONJS_MARK}Object.defineProperty(exports, "__esModule", { value: true });`;
  await using named = await RuntimeClient.with(
    `${compiled} exports.GET = () => "named"; exports.POST = () => "other";`,
  );
  assert.equal(await named.text(), "named");
  const broken = await loadFailure(`${COMMONJS_MARK}\n\n  throw new Error("at load");`);
  assert.equal(broken.message, "at load");
  assert.equal((await loadFailure(`${COMMONJS_MARK}\nlet a = ;`)).name, "SyntaxError");
});
