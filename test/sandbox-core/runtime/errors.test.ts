import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { StackMapper } from "../../../sandbox-core/runtime/stack.ts";
import { RuntimeClient } from "../../helpers/runtime-client.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

/** Everything of ours is below it. */
const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

/** Maps line n + 2 of a bundle to line n of src/shop.ts, at the start of the line. */
const SOURCE_MAP = JSON.stringify({
  version: 3,
  sources: ["../src/shop.ts"],
  names: [],
  mappings: `;;AAAA${";AACA".repeat(20)}`,
});

const SHOP = `// A bundle begins with
// what the sources do not have.
export default async (request, env, ctx) => {
  const task = new URL(request.url).searchParams.get("task");
  if (task === "throw") throw new RangeError("out of stock", { cause: new Error("no supplier") });
  if (task === "uncaught") {
    setTimeout(() => { throw new RangeError("late") }, 1);
    await new Promise(() => {});
  }
  if (task === "rejection") { Promise.reject(new RangeError("unheard")); await new Promise(() => {}); }
  if (task === "after") { setTimeout(() => { throw new RangeError("after the reply") }, 5); return new Response("ok"); }
  if (task === "waiting") ctx.waitUntil(new Promise(() => setTimeout(() => { throw new RangeError("after the reply") }, 5)));
  if (task === "streaming") {
    return new Response(new ReadableStream({ start(c) { c.enqueue(new Uint8Array(1)); setTimeout(() => { throw new RangeError("midway") }, 5); } }));
  }
  if (task === "exit") { process.on("exit", () => console.log("a listener")); process.exit(7); }
  if (task === "log") console.error(new Error("logged"));
  if (task === "stream") process.stderr.write(new Error("written").stack + "\\n");
  return new Response("ok");
};`;

function shop(): Promise<RuntimeClient> {
  return RuntimeClient.with(SHOP, { sourceMap: SOURCE_MAP });
}

test("a thrown error shows the tenant's file and line, its cause, and nothing of the runtime", async () => {
  await using runtime = await shop();
  const { failed } = await runtime.call({ path: "/?task=throw" });
  assert.equal(failed?.name, "RangeError");
  assert.equal(failed.message, "out of stock");
  assert.match(failed.stack, /^RangeError: out of stock\n {4}at .*src\/shop\.ts:3:1/);
  assert.match(failed.stack, /\[cause\]: Error: no supplier\n {4}at .*src\/shop\.ts:3:1/);
  assert.doesNotMatch(failed.stack, /sandbox-core|function\/index/);
  assert.equal(await runtime.text(), "ok", "the instance goes on");
});

test("an error in the log shows the tenant's file and line", async () => {
  await using runtime = await shop();
  await runtime.call({ path: "/?task=log" });
  assert.match(runtime.logs[0]?.text ?? "", /^Error: logged\n {4}at .*src\/shop\.ts:15:1\)$/);
});

test("a stack on a stream, such as those of threads, shows the tenant's file and line", async () => {
  await using runtime = await shop();
  await runtime.call({ path: "/?task=stream" });
  assert.match(runtime.logs.map(({ text }) => text).join("\n"), /^Error: written\n {4}at .*src\/shop\.ts:16:1\)/);
  assert.ok(!runtime.logs.some(({ text }) => /function\/index|^$/.test(text)));
});

test("a stack of a thread is mapped by the map that its file ends with", () => {
  const directory = tempDir();
  const map = Buffer.from(SOURCE_MAP).toString("base64");
  writeFileSync(join(directory, "a b.ts"), `//\n//# sourceMappingURL=data:application/json;base64,${map}\n`);
  writeFileSync(join(directory, "broken.js"), "//# sourceMappingURL=data:application/json;base64,bm9uZQ==");
  const mapper = new StackMapper(null, directory);
  const mapped = (place: string) => mapper.map(`Error\n    at file:///function/${place}\n    at node:net:1:2`);
  assert.equal(mapped("a%20b.ts:7:1"), "Error\n    at src/shop.ts:5:1\n    at node:net:1:2");
  for (const place of ["broken.js:7:1", "missing.js:7:1", "%ff.js:1:1", "index.js:7:1"]) {
    assert.equal(mapped(place), `Error\n    at file:///function/${place}\n    at node:net:1:2`);
  }
});

for (const [task, message, line] of [
  ["uncaught", "late", 5],
  ["rejection", "unheard", 8],
] as const) {
  test(`an ${task} error fails the call and ends the process`, async () => {
    await using runtime = await shop();
    const { failed } = await runtime.reply(runtime.request({ path: `/?task=${task}` }));
    assert.equal(failed?.message, message);
    assert.match(failed.stack, new RegExp(`src/shop\\.ts:${line}:1`));
    assert.equal((await runtime.exited).code, 81);
  });
}

test("an uncaught error in the middle of a stream ends the stream with it", async () => {
  await using runtime = await shop();
  const { head, endError } = await runtime.reply(runtime.request({ path: "/?task=streaming" }));
  assert.equal(head?.streaming, true);
  assert.equal(endError?.message, "midway");
  assert.equal((await runtime.exited).code, 81);
});

for (const task of ["after", "waiting"]) {
  test(`an uncaught error after the reply goes to the log of its call (${task})`, async () => {
    await using runtime = await shop();
    assert.equal((await runtime.reply(runtime.request({ path: `/?task=${task}` }))).body.toString(), "ok");
    assert.equal((await runtime.exited).code, 81);
    assert.match(runtime.logs[0]?.text ?? "", /^Uncaught RangeError: after the reply\n {4}at .*src\/shop\.ts/);
    assert.deepEqual([runtime.logs[0]?.call, runtime.logs[0]?.level], [1, "error"]);
  });
}

test("a listener of the function's own takes over, as in plain Node", async () => {
  await using runtime = await RuntimeClient.with(`
    process.on("uncaughtException", (error) => console.log("mine", error.message));
    export default () => new Promise((resolve) => {
      setTimeout(() => resolve(new Response("still here")), 5);
      setTimeout(() => { throw new Error("caught after all") }, 1);
    });`);
  assert.equal(await runtime.text(), "still here");
  assert.equal(runtime.logs[0]?.text, "mine caught after all");
});

test("process.exit leaves at once and says nothing but that", async () => {
  await using runtime = await shop();
  runtime.request({ path: "/?task=exit" });
  assert.deepEqual(await runtime.exited, { code: 7, signal: null });
  assert.deepEqual([runtime.messages, runtime.logs], [[{ type: "leaving", lastBegun: 1 }], []]);
});

const thrown: [expression: string, name: string, message: RegExp][] = [
  ["'text'", "Error", /threw a value that is not an Error: 'text'$/],
  ["undefined", "Error", /: undefined$/],
  ["null", "Error", /: null$/],
  ["Symbol('s')", "Error", /: Symbol\(s\)$/],
  ["new Proxy({}, { get() { throw 1 }, ownKeys() { throw 2 }, getPrototypeOf() { throw 3 } })", "Error", /Proxy/],
  ["{ get message() { throw 1 }, get stack() { throw 2 }, get name() { throw 3 } }", "Error", /\[Getter\]/],
  ["((a) => (a.a = a))({})", "Error", /\[Circular \*1\]/],
  ["Object.assign(new Error('m'), { name: 5, stack: 6 })", "Error", /^m$/],
  ["{ message: 'like an error' }", "Error", /^like an error$/],
  ["Object.assign(new Error('cyclic'), { cause: null })", "Error", /^cyclic$/],
  ["((e) => (e.cause = e))(new Error('own cause'))", "Error", /^own cause$/],
  ["new Error('x'.repeat(1e6))", "Error", /^x+ … \[cut\]$/],
  ["{ [Symbol.for('nodejs.util.inspect.custom')]() { throw 1 } }", "Error", /not an Error/],
  ["Object.create(null)", "Error", /\[Object: null prototype\] {}/],
];

test("whatever is thrown is described", async () => {
  const cases = thrown.map(([expression]) => `() => (${expression})`).join(",\n");
  await using runtime = await RuntimeClient.with(
    `const cases = [${cases}]; export default ({ url }) => { throw cases[url.split("/").at(-1)](); };`,
  );
  for (const [index, [expression, name, message]] of thrown.entries()) {
    const { failed } = await runtime.call({ path: `/${index}` });
    assert.equal(failed?.name, name, expression);
    assert.match(failed.message, message, expression);
  }
});

test("a source map that is none costs the mapping and nothing else", async () => {
  await using runtime = await RuntimeClient.with("export default () => { throw new Error('plain') }", {
    sourceMap: "{",
  });
  assert.match((await runtime.call()).failed?.stack ?? "", /function\/index\.js:1/);
});

/**
 * Collects what a function can learn of where its process's code is, in every way that has a text.
 */
const LOOKER = `
import Module, { createRequire } from "node:module";
import { getCallSites } from "node:util";
const atTop = new Error("top").stack;
function sites() {
  Error.prepareStackTrace = (_error, frames) => frames.map((frame) => [frame.getFileName(), String(frame)]);
  const { stack } = new Error("sites");
  Error.prepareStackTrace = undefined;
  return stack;
}
const stackOf = async (run) => { try { await run(); return "none"; } catch ({ stack }) { return stack; } };
export default async (request) => {
  Error.stackTraceLimit = Number.POSITIVE_INFINITY;
  const seen = { atTop, begun: new Error("begun").stack, sites: sites() };
  seen.callSites = getCallSites(100).map(({ scriptName }) => scriptName);
  console.log({ [Symbol.for("nodejs.util.inspect.custom")]() { seen.logged = new Error("logged").stack; return ""; } });
  Response.json({ toJSON() { seen.toJson = new Error("json").stack; return {}; } });
  new Response("a", { get status() { seen.getter = new Error("getter").stack; return 200; } });
  seen.refused = await stackOf(() => new Response("a", { status: 99 }));
  seen.noModule = [await stackOf(() => import("./x.js")), await stackOf(() => require("./x.js"))];
  seen.noFile = await stackOf(() => createRequire("/function/index.js")("./x.js"));
  process.setSourceMapsEnabled(true);
  seen.mapped = new Error("mapped").stack;
  process.setSourceMapsEnabled(false);
  seen.afterAwait = new Error("later").stack;
  seen.loader = [Module.globalPaths, createRequire("/function/index.js").resolve.paths("x"), Object.keys(Module._cache)];
  seen.process = [process.execPath, process.argv, process.execArgv, process.mainModule];
  seen.report = [process.report.getReport().header.commandLine, process.report.getReport().sharedObjects];
  return Response.json(seen);
};`;

test("nothing that a function sees of its code's places is the host's", async () => {
  await using runtime = await RuntimeClient.with(LOOKER);
  const seen = JSON.parse(await runtime.text()) as Record<string, unknown>;
  for (const [name, value] of Object.entries(seen)) {
    const text = JSON.stringify(value);
    assert.ok(text !== undefined && !text.includes(ROOT) && !text.includes("node-linux"), `${name}: ${text}`);
  }
  assert.match(String(seen.begun), /^Error: begun\n {4}at default \(file:\/\/\/function\/index\.js:/);
  assert.match(String(seen.toJson), /node:sandpiper\/runtime\/fetch\/response/, "these frames are there to be named");
});
