/** Which export is the handler and of which kind: told by the module, or by what is configured. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HandlerKind } from "../../../../sandbox-core/protocol/frames.ts";
import { RuntimeClient } from "../../../helpers/runtime-client.ts";

interface Wish {
  handler?: string;
  kind?: HandlerKind;
}

const FETCH = "new Response('fetch ' + new URL(a.url).pathname.at(-1))";
const LAMBDA = "({ statusCode: 200, body: 'lambda ' + a.rawPath.at(-1) })";
const NODE = "b.end('node ' + a.url)";

/** A handler that answers by how it is called; its parameters tell nothing. */
const ANY = `(a, b) => b?.end ? ${NODE} : a.rawPath ? ${LAMBDA} : ${FETCH}`;

/** The exports of a CommonJS module with one that nobody may read. */
const BAD_GETTER = `const exported = { get old() { throw new Error("is gone") } };`;

const found: [what: string, code: string, wish: Wish, answer: string][] = [
  ["a default export of no tell", `export default ${ANY}`, {}, "fetch /"],
  ["... of the kind lambda", `export default ${ANY}`, { kind: "lambda" }, "lambda /"],
  ["... of the kind node", `export default ${ANY}`, { kind: "node" }, "node /"],
  ["a default export of an event", `export default (event) => (${LAMBDA.replaceAll("a.", "event.")})`, {}, "lambda /"],
  ["... that calls back", "export default (event, context, callback) => callback(null, 'back')", {}, "back"],
  ["... that calls back by another name", "export default (e, c, cb) => { cb(null, 'back') }", {}, "back"],
  ["an event that is a pattern", "export default ({ rawPath }, context, callback) => callback(null, rawPath)", {}, "/"],
  ["a default export of env and context", `export default async (a, context = {}) => ${FETCH}`, {}, "fetch /"],
  ["parameters that a bundler numbered", `export default (req2, res2, next) => res2.end("node")`, {}, "node"],
  ["an event that a bundler numbered", "export default (event3) => event3.rawPath", {}, "/"],
  ["comments among parameters", `export default (req /* (a, b) */, res // c\n) => res.end("node")`, {}, "node"],
  ["a default export that streams", "export default awslambda.streamifyResponse((a, b) => b.end(a.rawPath))", {}, "/"],
  ["a module with a then of its own", `export function then() {} export default ${ANY}`, {}, "fetch /"],
  ["methods beside one that throws", `${BAD_GETTER} exported.GET = ${ANY}; export default exported`, {}, "fetch /"],
  [
    "the only function beside one that throws",
    `${BAD_GETTER} exported.a = ${ANY}; export default exported`,
    {},
    "lambda /",
  ],
  ["an export fetch", `export function fetch(a) { return ${FETCH} }`, {}, "fetch /"],
  ["an export handler of no tell", `export const handler = ${ANY}`, {}, "lambda /"],
  ["... of the kind fetch", `export const handler = ${ANY}`, { kind: "fetch" }, "fetch /"],
  [
    "methods of the kind fetch",
    `export const GET = ${ANY}; export const handler = () => 1`,
    { kind: "fetch" },
    "fetch /",
  ],
  ["a named export", `export const one = ${ANY}; export const two = () => 'two'`, { handler: "two" }, "two"],
  [
    "... of a kind",
    `export const one = ${ANY}; export const two = () => 'two'`,
    { handler: "one", kind: "node" },
    "node /",
  ],
  ["... of CommonJS", `export default { one: ${ANY}, two: () => 'two' }`, { handler: "two" }, "two"],
  [
    "... that is the default",
    `export default ${ANY}; export const handler = () => 'h'`,
    { handler: "default" },
    "fetch /",
  ],
  ["... beside a default", `export default ${ANY}; export const handler = () => 'h'`, { handler: "handler" }, "h"],
  ["... that is an object", `export const app = { fetch(a) { return ${FETCH} } }`, { handler: "app" }, "fetch /"],
  [
    "both kinds, lambda",
    `export default { fetch: ${ANY} }; export const handler = ${ANY}`,
    { kind: "lambda" },
    "lambda /",
  ],
  ["both kinds", `export default { fetch: ${ANY} }; export const handler = ${ANY}`, {}, "fetch /"],
];

for (const [what, code, wish, answer] of found) {
  test(`the handler is found in ${what}`, async () => {
    await using runtime = await RuntimeClient.with(code, wish);
    assert.equal(await runtime.text(), answer);
  });
}

const APP = "{ callback: () => (req, res) => res.end(), listen() {}, use() {} }";

const words: [what: string, code: string, wish: Wish, words: string][] = [
  ["a default export", "export default () => 1", {}, "fetch"],
  ["an object with fetch", "export default { fetch() {} }", {}, "fetch"],
  ["methods", "export const POST = () => 1; export const GET = () => 1", {}, "fetch (GET, POST)"],
  ["a listener", "addEventListener('fetch', () => 1)", {}, "fetch (addEventListener)"],
  ["Deno's server", "Deno.serve(() => 1)", {}, "fetch (Deno.serve)"],
  ["an export handler", "export const handler = () => 1", {}, "lambda (handler)"],
  ["the only export", "export const hello = () => 1", {}, "lambda (hello)"],
  ["the only one of CommonJS", "export default { hello: () => 1, n: 2 }", {}, "lambda (hello)"],
  ["a default export for Lambda", "export default (event) => 1", {}, "lambda"],
  ["(req, res)", "export default (req, res) => 1", {}, "node (req, res)"],
  ["(req, res) of another name", "export const hello = (req, res) => 1", {}, "node (req, res), hello"],
  ["an app of Node's", `export default ${APP}`, {}, "node (req, res)"],
  ["an export by its name", "export const a = () => 1; export const b = () => 1", { handler: "b" }, "lambda (b)"],
  ["an export by name and kind", "export const a = () => 1", { handler: "a", kind: "node" }, "node (req, res), a"],
  ["a kind", "export const a = () => 1", { kind: "fetch" }, "fetch (a)"],
];

for (const [what, code, wish, expected] of words) {
  test(`${what} is named in words`, async () => {
    await using runtime = await RuntimeClient.start();
    const loaded = await runtime.load(code, wish);
    assert.deepEqual(loaded.type === "loaded" && loaded.found, { handler: expected, warnings: [] });
  });
}

test("exports for other events than requests are told, and a getter that throws does no harm", async () => {
  const code = `export default { fetch() {}, scheduled() {}, get queue() { throw new Error("not now"); } };
    export function email() {}`;
  await using runtime = await RuntimeClient.start();
  const loaded = await runtime.load(code);
  assert.deepEqual(loaded.type === "loaded" && loaded.found?.warnings, [
    "The export scheduled is not wired yet: nothing here calls it at times that are set.",
    "The export email is not wired yet: nothing here calls it with an e-mail.",
  ]);
});

const refused: [what: string, code: string, wish: Wish, message: RegExp][] = [
  [
    "an export that is not there",
    "export const one = () => 1",
    { handler: "two" },
    /^"handler" in sandpiper\.jsonc is "two", and the module has no such export\. It exports one \(function\)\.$/,
  ],
  [
    "one of CommonJS that is not there",
    "export default { __esModule: true, one: () => 1, n: 2 }",
    { handler: "two", kind: "node" },
    /is "two" and "kind" is "node", and .* It exports default \(object with one \(function\), n \(number\)\)\.$/,
  ],
  [
    "exports that throw when they are read",
    `${BAD_GETTER} exported.one = 1; export default exported`,
    {},
    /^The module exports no handler\. It exports default \(object with one \(number\)\)\./,
  ],
  ["an export that is no function", "export const one = 1", { handler: "one" }, /that cannot be one \(number\)/],
  [
    "an object of the wrong kind",
    "export const one = {}",
    { handler: "one", kind: "fetch" },
    /cannot be one \(object\)/,
  ],
  [
    "a kind of which there is none",
    "export const one = () => 1; export const two = () => 2",
    { kind: "lambda" },
    /^"kind" in sandpiper\.jsonc is "lambda", and the module exports no such handler\. It exports one .* Name the export/,
  ],
  ["a kind of an object that is none", "export default { one: 1 }", { kind: "node" }, /"kind" .* is "node", and/],
];

for (const [what, code, wish, message] of refused) {
  test(`the load fails for ${what}, and its message names what there is`, async () => {
    await using runtime = await RuntimeClient.start();
    const loaded = await runtime.load(code, wish);
    assert.equal(loaded.type, "load_failed");
    assert.match(loaded.error.message, message);
  });
}
