/** How a handler wants to be called, by its text. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { takesContext, takesEvent } from "../../../../sandbox-core/runtime/handlers/fetch/request-event.ts";
import { kindOf, lambdaKindOf, parametersOf } from "../../../../sandbox-core/runtime/handlers/kind.ts";

/** A function as its text says; it is never called. */
const written = (text: string): object => new Function(`return (${text})`)() as object;

const KINDS: [text: string, kind: string | null][] = [
  // By names.
  ["async (event, context) => {}", "lambda"],
  ["function (a, b, callback) {}", "lambda"],
  ["(req, res) => {}", "node"],
  ["function (req2, res2, next) {}", "node"],
  ["(cloudEvent) => {}", "cloudevent"],
  ["(a, b) => {}", null],
  // By what is done with them.
  ["(e) => ({ body: e.queryStringParameters.a })", "lambda"],
  ["(e) => e?.Records.map(String)", "lambda"],
  ["({ rawPath }) => rawPath", "lambda"],
  ["({ requestContext: { http } }) => http", "lambda"],
  ["(e, c) => c.succeed('a')", "lambda"],
  ["(e, c) => c.getRemainingTimeInMillis()", "lambda"],
  ["(e, c, n) => n(null, 1)", "lambda"],
  ["(e, c, n) => setTimeout(() => n (null, 1))", "lambda"],
  ["(a, b) => { b.statusCode = 201; b.end() }", "node"],
  ["(a, b) => b.status(200).json({})", "node"],
  ["(a, b) => b.setHeader('c', 'd').end(a.url)", "node"],
  ["async (a) => new Response(await a.text())", "fetch"],
  ["(r) => new Response(new URL(r.url).pathname)", "fetch"],
  ["($) => $.headers.get('a')", "fetch"],
  // By neither, and by several at once.
  ["(a, b, c) => c.waitUntil(b.x.y)", null],
  ["(a, b) => b.statusCode === 200", null],
  ["(a, b) => b?.end ? b.end(a.url) : a.rawPath", null],
  ["(a) => other.rawPath", null],
  ["(a) => aa.rawPath + x.a.rawPath", null],
  ["({ ...rest }) => rest", null],
];

test("the kind of a handler is told by its parameters' names, and else by what it does with them", () => {
  for (const [text, kind] of KINDS) assert.equal(kindOf(written(text)), kind, text);
});

test("a handler that reads events of format 1.0 alone gets these", () => {
  for (const [text, kind] of [
    ["(event) => event.httpMethod", "lambda-1.0"],
    ["(event) => event.path + event.body", "lambda-1.0"],
    ["({ httpMethod, path }) => path", "lambda-1.0"],
    ["(e) => e.multiValueHeaders.a", "lambda-1.0"],
    ["(event) => event.httpMethod ?? event.requestContext.http.method", "lambda"],
    ["(event) => event.path ?? event.rawPath", "lambda"],
    ["(event) => event.pathParameters", "lambda"],
    ["(event) => other.path", "lambda"],
  ] as const) {
    assert.equal(kindOf(written(text)), kind, text);
    assert.equal(lambdaKindOf(written(text)), kind, text);
  }
  assert.equal(lambdaKindOf(written("(e) => e.path")), "lambda-1.0");
});

test("parameters are read whatever stands between them", () => {
  assert.deepEqual(parametersOf("async function name(a = { b: [1, 2] }, { c, d: { e } } = {}, ...f) {}"), [
    "a",
    "{ c, d: { e } } = {}",
    "...f",
  ]);
  assert.deepEqual(parametersOf("fetch(a /* , b */, // c\n d) {}"), ["a", "d"]);
  assert.deepEqual(parametersOf("async a => b"), ["a"]);
  assert.deepEqual(parametersOf("() => a"), [""]);
});

test("functions that take an event or a context instead of a request and env are known", () => {
  for (const text of [
    "({ request }) => {}",
    "({ params, url }) => {}",
    "(e) => e.request.url",
    "(e) => e.url.pathname",
  ])
    assert.ok(takesEvent(written(text)), text);
  for (const text of ["(request) => request.url", "({ url, headers }) => url", "(a) => b.request"])
    assert.ok(!takesEvent(written(text)), text);
  for (const text of ["(req, context) => {}", "(req, ctx) => {}", "(req, { params }) => {}"])
    assert.ok(takesContext(written(text)), text);
  for (const text of [
    "(req) => {}",
    "(req, env) => {}",
    "(req, env, ctx) => {}",
    "(req, ctx, more) => {}",
    "(req, { A }) => {}",
  ])
    assert.ok(!takesContext(written(text)), text);
});
