/** The ways in which a Lambda handler answers: callback, context, and stream. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeCancel } from "../../../../../sandbox-core/protocol/frames.ts";
import { RuntimeClient } from "../../../../helpers/runtime-client.ts";

const ways: [handler: string, answer: string | RegExp][] = [
  ["(event, context, callback) => { setTimeout(() => callback(null, 'a'), 1) }", "a"],
  ["(event, context, callback) => setTimeout(() => callback(null, 'a'), 1)", "a"],
  ["(event, context, callback) => { callback(new RangeError('no')) }", /no/],
  ["async (event, context, callback) => 'a'", "a"],
  ["(event, context) => { setTimeout(() => context.succeed('a'), 1) }", "a"],
  ["(event, context) => setTimeout(() => context.done(null, 'a'), 1)", "a"],
  ["(event, context) => { setTimeout(() => context.fail(new RangeError('no')), 1) }", /no/],
  ["(event, context) => { context.fail() }", /without an error/],
  ["(event, context) => { later(context) }", "a"],
  ["(event, context) => { const { succeed } = context; setTimeout(succeed, 1, 'a') }", "a"],
  ["(event, context) => Promise.resolve('a').then(context.succeed, context.fail)", "a"],
  ["(event, context) => context.done ? 'a' : 'b'", "a"],
  ["(event, context) => ({ a: context.functionName })", '{"a":"hello"}'],
  ["(event) => {}", "null"],
];

test("a handler answers by a promise, its callback, its context or its result", async () => {
  for (const [index, [handler, answer]] of ways.entries()) {
    await using each = await RuntimeClient.with(`
      function later({ succeed }) { setTimeout(() => succeed("a"), 1) }
      export const handler = ${handler};`);
    const { failed, body } = await each.call();
    if (typeof answer === "string") assert.deepEqual([failed, body.toString()], [null, answer], `${index}: ${handler}`);
    else assert.match(failed?.message ?? "", answer, `${index}: ${handler}`);
  }
});

const STREAMING = "export const handler = awslambda.streamifyResponse(async (event, stream, context) => {";

test("a handler that streams sends what it writes as it writes it", async () => {
  await using runtime = await RuntimeClient.with(`${STREAMING}
    const { HttpResponseStream } = awslambda;
    const out = HttpResponseStream.from(stream, { statusCode: 201, headers: { "X-A": "b" }, cookies: ["c=d"] });
    out.write(event.rawPath);
    await new Promise((resolve) => setTimeout(resolve, 20));
    out.end("last");
  });`);
  const call = runtime.request({ path: "/first" });
  const head = await runtime.next("head");
  assert.deepEqual([head.status, head.streaming, Buffer.from(head.body).toString()], [201, true, "/first"]);
  assert.deepEqual(head.headers, [
    ["x-a", "b"],
    ["set-cookie", "c=d"],
  ]);
  assert.equal(Buffer.from((await runtime.next("chunk")).bytes).toString(), "last");
  assert.deepEqual(await runtime.next("end"), { type: "end", call, error: null });
  await runtime.next("idle");
});

const streams: [statements: string, status: number, type: string | undefined, body: string][] = [
  ["stream.write('a'); stream.end('b')", 200, "application/octet-stream", "ab"],
  ["stream.setContentType('text/html'); stream.end('a')", 200, "text/html", "a"],
  ["awslambda.HttpResponseStream.from(stream, { statusCode: 204 }).end()", 204, undefined, ""],
  ["await pipeline(Readable.from(['a', 'b']), stream)", 200, "application/octet-stream", "ab"],
  ["context.succeed('a')", 200, "application/octet-stream", "a"],
];

test("a stream that ends at once is a whole reply, with the status and fields that it was given", async () => {
  for (const [statements, status, type, expected] of streams) {
    await using runtime = await RuntimeClient.with(`
      import { Readable } from "node:stream"; import { pipeline } from "node:stream/promises";
      ${STREAMING} ${statements} });`);
    const { head, body, failed } = await runtime.call();
    assert.equal(failed, null, statements);
    const shown = head?.headers.find(([name]) => name === "content-type")?.[1];
    assert.deepEqual([head?.status, shown, body.toString()], [status, type, expected], statements);
  }
});

test("what fails in a handler that streams is told", async () => {
  const cases: [statements: string, failed: RegExp | null, endError: RegExp | null][] = [
    ["throw new RangeError('before')", /before/, null],
    ["stream.write('a'); await new Promise((r) => setTimeout(r, 20)); throw new RangeError('middle')", null, /middle/],
    ["stream.destroy()", /destroyed its response stream/, null],
    ["awslambda.HttpResponseStream.from({}, {})", /needs the stream that the handler was given/, null],
    ["awslambda.HttpResponseStream.from(stream, { statusCode: 99 }).end('a')", /statusCode must be 200 to 599/, null],
    ["stream.write('a'); awslambda.HttpResponseStream.from(stream, {})", /after the first write/, null],
    ["context.fail(new RangeError('by context'))", /by context/, null],
  ];
  for (const [statements, failed, endError] of cases) {
    await using runtime = await RuntimeClient.with(`${STREAMING} ${statements} });`);
    const result = await runtime.call();
    assert.match(result.failed?.message ?? "", failed ?? /^$/, statements);
    assert.match(result.endError?.message ?? "", endError ?? /^$/, statements);
  }
});

test("a client that leaves ends the stream", async () => {
  await using runtime = await RuntimeClient.with(`
    let closed = false;
    export const handler = awslambda.streamifyResponse((event, stream) => {
      if (event.rawPath === "/closed") return stream.end(String(closed));
      stream.on("close", () => { closed = true; });
      stream.write("first");
    });`);
  const call = runtime.request();
  await runtime.next("head");
  runtime.wire.write(encodeCancel(call));
  assert.equal((await runtime.next("end")).error?.name, "AbortError");
  await runtime.next("idle");
  assert.equal(await runtime.text({ path: "/closed" }), "true");
});
