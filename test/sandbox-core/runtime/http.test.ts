/**
 * Where HTTP and the objects of a function meet: targets with dot segments, and header fields that
 * cannot be sent.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RuntimeClient } from "../../helpers/runtime-client.ts";

const PREFIX = "http://localhost:8080/fn/main/hello";

/** Paths as they are sent, below a function's URL, and what its `request.url` shows of them. */
const PATHS: Record<string, string> = {
  "/": "/",
  "/a/b?c=%2e%2e/d": "/a/b?c=%2e%2e/d",
  "/a/../b": "/b",
  "/../../x": "/x",
  "/%2e%2e/%2E%2e/x": "/x",
  "/.%2e/..%2f/x": "/..%2f/x",
  "/%2e./x?y#z": "/x?y#z",
  "/a/./b/%2e": "/a/b/",
  "/a/..": "/",
  "/..?q=/../": "/?q=/../",
  "/..\\..\\x": "/x",
  "/..%5c..%5cx": "/..%5c..%5cx",
  "//host/../x": "//x",
  "//../../main/other": "/main/other",
  "/...": "/...",
  "/.well-known/x.y": "/.well-known/x.y",
  "/%252e%252e/x": "/%252e%252e/x",
  "/@host/..//x": "//x",
};

test("no path takes request.url out of the function's own, and all else is as it was sent", async () => {
  await using runtime = await RuntimeClient.with("export default ({ url }) => new Response(url)");
  const seen: Record<string, string> = {};
  for (const path of Object.keys(PATHS)) {
    const url = await runtime.text({ path });
    assert.ok(url.startsWith(`${PREFIX}/`), `${path} became ${url}`);
    seen[path] = url.slice(PREFIX.length);
  }
  assert.deepEqual(seen, PATHS);
});

test("a function at the root of its host sees the same paths", async () => {
  await using runtime = await RuntimeClient.with("export default ({ url }) => new Response(url)");
  for (const [path, shown] of Object.entries(PATHS)) {
    const url = `http://hello.localhost:8080${path}`;
    assert.equal(await runtime.text({ url, path }), `http://hello.localhost:8080${shown}`);
  }
});

test("a Lambda event has the path byte for byte", async () => {
  await using runtime = await RuntimeClient.with("export const handler = ({ rawPath }) => rawPath");
  assert.equal(await runtime.text({ path: "/a/%2e%2e/../x?y" }), "/a/%2e%2e/../x");
});

const fields = (count: number, value = "'v'") => `Array.from({ length: ${count} }, (_, i) => ["x-" + i, ${value}])`;

const REFUSED: Record<string, RegExp> = {
  [`new Response("a", { headers: ${fields(200)} })`]:
    /There are 201 of them, each cookie counted, and a reply may have 128\.$/,
  "new Response(null, { headers: { a: 'x'.repeat(20_000) } })": /a has 20000 characters, and may have 16384\.$/,
  "new Response(null, { headers: { ['n'.repeat(300)]: '' } })": /A name has 300 characters, and may have 256\.$/,
  [`new Response(null, { headers: ${fields(100, "'v'.repeat(1_000)")} })`]:
    /have 100390 characters, and a reply's may have 65536 in all\.$/,
  [`new Response(new ReadableStream(), { headers: ${fields(129)} })`]: /There are 129 of them/,
  "({ status: 200, headers: [['a', 'b\\r\\nc: d']], body: null })":
    /a has characters that no value may have: 'b\\r\\nc: d'\.$/,
  "({ status: 200, headers: [['a b', 'c']], body: null })": /A name has characters that no name may have: 'a b'\.$/,
};

test("a reply's fields that cannot be sent fail the call with the limit that they cross", async () => {
  const cases = Object.keys(REFUSED).map((made) => `() => ${made}`);
  await using runtime = await RuntimeClient.with(
    `const cases = [${cases}]; export default ({ url }) => cases[new URL(url).pathname.split("/").at(-1)]()`,
  );
  for (const [index, [made, message]] of Object.entries(REFUSED).entries()) {
    const { failed } = await runtime.call({ path: `/${index}` });
    assert.match(failed?.message ?? "no failure", message, made);
  }
});

/** Results, and the reason phrase that the reply has: none where it could not be sent. */
const PHRASES: [made: string, phrase: string | undefined][] = [
  ["new Response('a', { status: 201, statusText: 'All is well' })", "All is well"],
  ["new Response(new Blob(['a']), { statusText: 'caf\\xe9' })", "caf\xe9"],
  ["new Response(new ReadableStream({ start(c) { c.close() } }), { statusText: 'streamed' })", "streamed"],
  ["new Response(null, { status: 204, statusText: 'empty' })", "empty"],
  ["((one) => new Response(one.body, one))(new Response('a', { statusText: 'copied' }))", "copied"],
  ["Response.json(1, { statusText: 'JSON' })", "JSON"],
  ["new Response('a')", undefined],
  ["new Response('a', { statusText: 'x'.repeat(257) })", undefined],
  ["({ status: 200, statusText: 'a\\r\\nb: c', headers: [], body: null })", undefined],
  ["({ status: 200, statusText: 7, headers: [], body: null })", undefined],
];

test("a reply has the reason phrase that the function gave it", async () => {
  const cases = PHRASES.map(([made]) => `() => ${made}`);
  const code = `const cases = [${cases}]; export default ({ url }) => cases[new URL(url).pathname.split("/").at(-1)]()`;
  await using runtime = await RuntimeClient.with(code);
  for (const [index, [made, phrase]] of PHRASES.entries()) {
    const { head, failed } = await runtime.call({ path: `/${index}` });
    assert.equal(failed, null, made);
    assert.equal(head?.statusText, phrase, made);
  }
});

test("as many fields as may be are sent", async () => {
  await using runtime = await RuntimeClient.with(
    `export default () => new Response(null, { headers: ${fields(128)} })`,
  );
  assert.equal((await runtime.call()).head?.headers.length, 128);
});
