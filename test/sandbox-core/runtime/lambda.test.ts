import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeBody, encodeBodyEnd, type HeaderPairs } from "../../../sandbox-core/protocol/frames.ts";
import { RuntimeClient } from "../../helpers/runtime-client.ts";

const ECHO =
  "export const handler = async (event, context) => ({ event, context, left: context.getRemainingTimeInMillis() });";

test("the event is that of API Gateway's format 2.0", async () => {
  await using runtime = await RuntimeClient.with(ECHO);
  const headers: HeaderPairs = [
    ["host", "fn.example.org"],
    ["user-agent", "test"],
    ["accept", "a"],
    ["accept", "b"],
    ["content-type", "application/json"],
    ["cookie", "a=1; b=2"],
    ["cookie", "c=3"],
  ];
  const path = "/a%20b/c?d=e&d=f&g=%26&__proto__=h";
  const { event } = JSON.parse(await runtime.text({ method: "PUT", path, headers, body: '{"ä":1}' }));
  const { time, timeEpoch, ...context } = event.requestContext;
  assert.match(time, /^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000$/);
  assert.equal(typeof timeEpoch, "number");
  assert.deepEqual(context, {
    accountId: "anonymous",
    apiId: "hello",
    domainName: "fn.example.org",
    domainPrefix: "fn",
    http: { method: "PUT", path: "/a%20b/c", protocol: "HTTP/1.1", sourceIp: "192.0.2.1", userAgent: "test" },
    requestId: "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    routeKey: "$default",
    stage: "$default",
  });
  assert.deepEqual(
    { ...event, requestContext: null },
    {
      version: "2.0",
      routeKey: "$default",
      rawPath: "/a%20b/c",
      rawQueryString: "d=e&d=f&g=%26&__proto__=h",
      cookies: ["a=1", "b=2", "c=3"],
      headers: { host: "fn.example.org", "user-agent": "test", accept: "a,b", "content-type": "application/json" },
      queryStringParameters: Object.fromEntries([
        ["d", "e,f"],
        ["g", "&"],
        ["__proto__", "h"],
      ]),
      requestContext: null,
      body: '{"ä":1}',
      isBase64Encoded: false,
    },
  );
});

test("what a request does not have is absent from the event", async () => {
  await using runtime = await RuntimeClient.with(ECHO);
  const { event } = JSON.parse(await runtime.text());
  for (const member of ["cookies", "queryStringParameters", "body"]) assert.ok(!(member in event), member);
  assert.equal(event.rawQueryString, "");
});

test("a body that is not said to be text, or is not text, is base64", async () => {
  await using runtime = await RuntimeClient.with(ECHO);
  const cases: [type: string | null, body: Buffer, base64: boolean][] = [
    [null, Buffer.from("text"), true],
    ["text/plain", Buffer.from("text"), false],
    ["text/plain", Buffer.from([0xff, 0x00]), true],
    ["application/problem+json; charset=utf-8", Buffer.from("{}"), false],
    ["application/x-www-form-urlencoded", Buffer.from("a=b"), true],
    ["application/octet-stream", Buffer.from("text"), true],
  ];
  for (const [type, body, base64] of cases) {
    const headers: HeaderPairs = type === null ? [] : [["content-type", type]];
    const { event } = JSON.parse(await runtime.text({ method: "POST", headers, body }));
    assert.equal(event.isBase64Encoded, base64, `${type}`);
    assert.equal(event.body, body.toString(base64 ? "base64" : "utf8"));
  }
});

test("the context tells the function, the call and the time left", async () => {
  await using runtime = await RuntimeClient.with(ECHO, { timeoutMs: 60_000 });
  const { context, left } = JSON.parse(await runtime.text());
  assert.equal(context.functionName, "hello");
  assert.equal(context.functionVersion, "f".repeat(64));
  assert.equal(context.memoryLimitInMB, "128");
  assert.equal(context.awsRequestId, "3f2504e0-4f89-41d3-9a0c-0305e82c3301");
  assert.ok(left > 0 && left <= 60_000);
  await using late = await RuntimeClient.with(ECHO, { timeoutMs: 0 });
  assert.equal(JSON.parse(await late.text()).left, 0);
});

/** A runtime whose handler returns the expression that the path's number names. */
function answering(expressions: string[]): Promise<RuntimeClient> {
  const cases = expressions.map((expression) => `() => (${expression})`).join(",\n");
  return RuntimeClient.with(
    `const cases = [${cases}]; export const handler = async (event) => cases[event.rawPath.slice(1)]();`,
  );
}

test("results mean the replies that AWS gives", async () => {
  const json: HeaderPairs = [["content-type", "application/json"]];
  const text: HeaderPairs = [["content-type", "text/plain; charset=utf-8"]];
  const cases: [expression: string, status: number, headers: HeaderPairs, body: string][] = [
    ["{ hello: 1 }", 200, json, '{"hello":1}'],
    ["'hello'", 200, json, "hello"],
    ["[1, 2]", 200, json, "[1,2]"],
    ["undefined", 200, json, "null"],
    ["{ statusCode: 201 }", 201, [], ""],
    ["{ statusCode: '404', body: 'no' }", 404, text, "no"],
    ["{ statusCode: 200, isBase64Encoded: true, body: 'AP8=' }", 200, text, "\0\xff"],
    [
      "{ statusCode: 200, headers: { 'X-A': 1, 'Content-Type': 'text/html', 'X-None': null }, body: '<p>' }",
      200,
      [
        ["x-a", "1"],
        ["content-type", "text/html"],
      ],
      "<p>",
    ],
    [
      "{ statusCode: 200, cookies: ['a=1; Path=/', 'b=2'], multiValueHeaders: { 'X-B': ['1', '2'] } }",
      200,
      [
        ["x-b", "1"],
        ["x-b", "2"],
        ["set-cookie", "a=1; Path=/"],
        ["set-cookie", "b=2"],
      ],
      "",
    ],
    [
      `{ statusCode: 200, body: '', headers: { 'Content-Type': 'text/a', 'X-A': '1', 'x-a': '2' },
         multiValueHeaders: { 'content-type': ['text/b'], 'X-B': ['3', '4'] } }`,
      200,
      [
        ["content-type", "text/b"],
        ["x-a", "2"],
        ["x-b", "3"],
        ["x-b", "4"],
      ],
      "",
    ],
    [
      "{ statusCode: 204, headers: { 'Set-Cookie': 'a=1', 'set-cookie': 'b=2' }, multiValueHeaders: { 'SET-COOKIE': ['b=2', 'c=3'] } }",
      204,
      [
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
        ["set-cookie", "c=3"],
      ],
      "",
    ],
    [
      "new Response('hi', { status: 418, headers: { 'X-A': 'b' } })",
      418,
      [
        ["content-type", "text/plain;charset=UTF-8"],
        ["x-a", "b"],
      ],
      "hi",
    ],
    ["Response.json([1], { status: 201 })", 201, json, "[1]"],
    [
      "new Response(new ReadableStream({ start(c) { c.enqueue(Buffer.from('streamed')); c.close(); } }))",
      200,
      [],
      "streamed",
    ],
    ["{ status: 200, headers: [], body: null }", 200, json, '{"status":200,"headers":[],"body":null}'],
  ];
  await using runtime = await answering(cases.map(([expression]) => expression));
  for (const [index, [expression, status, headers, body]] of cases.entries()) {
    const result = await runtime.call({ path: `/${index}` });
    assert.equal(result.failed, null, expression);
    assert.equal(result.head?.status, status, expression);
    assert.deepEqual(result.head.headers, headers, expression);
    assert.equal(result.body.toString("latin1"), body, expression);
    assert.deepEqual(result.replyFrames, ["head"]);
  }
});

test("results that mean nothing fail clearly", async () => {
  const cases: [expression: string, message: RegExp][] = [
    ["({ big: 1n })", /cannot be written as JSON: .*BigInt/],
    ["((a) => (a.a = a))({})", /cannot be written as JSON: Converting circular structure/],
    ["({ statusCode: 99 })", /statusCode must be 200 to 599, and is 99/],
    ["({ statusCode: 200, body: { a: 1 } })", /body must be a string, and is { a: 1 }/],
    ["({ statusCode: 200, headers: { a: {} } })", /The header a must be a string/],
    ["({ statusCode: 200, headers: { a: 'b\\r\\nc: d' } })", /headers that cannot be sent/],
    ["({ statusCode: 200, headers: 'a' })", /headers must be an object/],
    ["({ statusCode: 200, cookies: 'a' })", /cookies must be an array/],
    ["Response.error()", /a Response with the status 0/],
  ];
  await using runtime = await answering(cases.map(([expression]) => expression));
  for (const [index, [expression, message]] of cases.entries()) {
    assert.match((await runtime.call({ path: `/${index}` })).failed?.message ?? "", message, expression);
  }
});

test("a large body arrives whole, and a handler may answer by its callback", async () => {
  await using runtime = await RuntimeClient.with(`
    export const handler = (event, context, callback) => {
      if (event.rawPath === "/error") return callback(new RangeError("called back"));
      setTimeout(() => callback(null, { statusCode: 200, body: String(event.body.length) }), 1);
    };`);
  const call = runtime.request({ method: "POST", headers: [["content-type", "text/plain"]], bodyFollows: true });
  for (let count = 0; count < 10; count++) runtime.wire.write(encodeBody(call, Buffer.alloc(500_000, "a")));
  runtime.wire.write(encodeBodyEnd(call));
  assert.equal((await runtime.reply(call)).body.toString(), "5000000");
  await runtime.next("idle");
  assert.equal((await runtime.call({ path: "/error" })).failed?.name, "RangeError");
});
