/** Functions as people write them for other platforms: what they export, and what they return. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RuntimeClient } from "../../helpers/runtime-client.ts";

const TEXT = "text/plain;charset=UTF-8";
const JSON_TYPE = "application/json";

/** Results of a handler of the fetch kind: status, type and body of the reply. */
const RESULTS: [result: string, status: number, type: string | undefined, body: string][] = [
  ["'text'", 200, TEXT, "text"],
  ["({ hello: 'world' })", 200, JSON_TYPE, '{"hello":"world"}'],
  ["[1, 2]", 200, JSON_TYPE, "[1,2]"],
  ["null", 200, JSON_TYPE, "null"],
  ["7", 200, JSON_TYPE, "7"],
  ["({ status: 'ready', body: 'warm' })", 200, JSON_TYPE, '{"status":"ready","body":"warm"}'],
  ["({ status: 200, body: 'a', more: 1 })", 200, JSON_TYPE, '{"status":200,"body":"a","more":1}'],
  ["({ status: 201 })", 200, JSON_TYPE, '{"status":201}'],
  ["({ status: 201, body: 'made' })", 201, TEXT, "made"],
  ["({ status: 404, body: { error: 'none' } })", 404, JSON_TYPE, '{"error":"none"}'],
  ["({ status: 200, headers: { 'Content-Type': 'text/html' }, body: '<p>' })", 200, "text/html", "<p>"],
  ["({ status: 204, headers: { 'content-type': 'a/b' } })", 204, "a/b", ""],
  ["({ status: 404, headers: [['X-A', 'b'], ['Content-Type', 'a/b']], body: null })", 404, "a/b", ""],
  ["({ status: 404, headers: new Map([['Content-Type', 'a/b']]), body: null })", 404, "a/b", ""],
  ["({ status: 302, headers: new Headers({ 'Content-Type': 'a/b' }), body: undefined })", 302, "a/b", ""],
  ["({ status: 204, headers: null, body: null })", 204, undefined, ""],
  ["({ status: 204, body: '' })", 204, undefined, ""],
  ["({ statusCode: 202, headers: { 'Content-Type': 'a/b' }, body: 'lambda' })", 202, "a/b", "lambda"],
  ["Buffer.from('bytes')", 200, undefined, "bytes"],
  ["new TextEncoder().encode('bytes').buffer", 200, undefined, "bytes"],
  ["new Blob(['a'], { type: 'b/c' })", 200, "b/c", "a"],
  ["new Blob(['a']).stream()", 200, undefined, "a"],
];

test("a handler may return a text, bytes, JSON or the parts of a response", async () => {
  const cases = RESULTS.map(([result]) => `() => ${result}`);
  const code = `const cases = [${cases}]; export default ({ url }) => cases[new URL(url).pathname.split("/").at(-1)]()`;
  await using runtime = await RuntimeClient.with(code);
  for (const [index, [result, ...expected]] of RESULTS.entries()) {
    const { head, body, failed } = await runtime.call({ path: `/${index}` });
    assert.equal(failed, null, result);
    const type = head?.headers.find(([name]) => name === "content-type")?.[1];
    assert.deepEqual([head?.status, type, body.toString()], expected, result);
  }
});

const METHODS = `
export const GET = (request, env, ctx) => new Response(request.method + " " + env.A + " " + typeof ctx.waitUntil);
export async function POST(request) { return { given: await request.json() }; }
export const config = { runtime: "edge" };`;

const COMMON_METHODS = `
export default { GET: (request) => request.method + " a function", POST: async (request) => ({ given: await request.json() }) };`;

for (const [form, code, get] of [
  ["exports", METHODS, "GET b function"],
  ["a CommonJS module's exports", COMMON_METHODS, "GET a function"],
] as const) {
  test(`${form} named as methods answer these methods, and no others`, async () => {
    await using runtime = await RuntimeClient.with(code, { env: { A: "b" } });
    assert.equal(await runtime.text(), get);
    assert.equal(await runtime.text({ method: "POST", body: '{"a":1}' }), '{"given":{"a":1}}');
    for (const [method, status] of [
      ["HEAD", 200],
      ["OPTIONS", 204],
      ["DELETE", 405],
      ["PURGE", 405],
    ] as const) {
      const { head, body } = await runtime.call({ method });
      assert.deepEqual([head?.status, body.length], [status, 0], method);
      const allow = head?.headers.find(([name]) => name === "allow")?.[1];
      assert.equal(allow, status === 200 ? undefined : "GET, HEAD, POST, OPTIONS", method);
    }
  });
}

const LAMBDA = "async (event, context) => ({ statusCode: 201, body: event.rawPath + ' ' + context.functionName })";

for (const [form, code] of [
  ["an export", `export const hello = ${LAMBDA}`],
  ["an export beside what can be none", `export const hello = ${LAMBDA}; export const a = 1; export class B {}`],
  ["an export beside the hook", `export const hello = ${LAMBDA}; export function afterRestore() {}`],
  ["a CommonJS module's export", `export default { hello: ${LAMBDA}, VERSION: "1" }`],
  ["the export of a module that TypeScript compiled", `export default { __esModule: true, hello: ${LAMBDA} }`],
] as const) {
  test(`${form} of any name is a Lambda handler when it is the only function`, async () => {
    await using runtime = await RuntimeClient.with(code);
    const { head, body } = await runtime.call({ path: "/a" });
    assert.deepEqual([head?.status, body.toString()], [201, "/a hello"]);
  });
}

test("several functions of other names are none, and the message names them and the way out", async () => {
  await using runtime = await RuntimeClient.start();
  const loaded = await runtime.load(
    "export const one = () => 1; export const two = () => 2; export default { three: 3 };",
  );
  assert.equal(loaded.type, "load_failed");
  assert.match(
    loaded.error.message,
    /exports no handler\. It exports default \(object with three \(number\)\), one \(function\), two \(function\)\. .*when no other function .*"handler" in sandpiper/,
  );
});
