import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as frames from "../../../sandbox-core/protocol/frames.ts";
import { RuntimeClient } from "../../helpers/runtime-client.ts";

const ECHO = `
  export default {
    async fetch(request, env, ctx) {
      const body = Buffer.from(await request.arrayBuffer()).toString("base64");
      const { method, url } = request;
      return Response.json({ method, url, headers: [...request.headers], body, env, ctx: Object.keys(ctx), self: typeof this.fetch });
    },
  };`;

test("a fetch object gets the request, its environment and a context", async () => {
  await using runtime = await RuntimeClient.with(ECHO, { env: { GREETING: "hi" } });
  const headers: frames.HeaderPairs = [
    ["host", "localhost:8080"],
    ["accept", "a"],
    ["accept", "b"],
    ["x-latin", "\u00ff"],
    ["traceparent", "from the client"],
  ];
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const result = await runtime.call({ method: "POST", path: "/a%20b?c=d", headers, body: "\0\xff", traceparent });
  assert.equal(result.head?.status, 200);
  assert.deepEqual(result.head.headers, [["content-type", "application/json"]]);
  assert.deepEqual(result.replyFrames, ["head"]);
  assert.deepEqual(JSON.parse(result.body.toString()), {
    method: "POST",
    url: "http://localhost:8080/fn/main/hello/a%20b?c=d",
    headers: [
      ["accept", "a, b"],
      ["host", "localhost:8080"],
      ["traceparent", traceparent],
      ["x-latin", "\u00ff"],
    ],
    body: Buffer.from("\0\xff").toString("base64"),
    env: { GREETING: "hi" },
    ctx: ["waitUntil", "passThroughOnException", "props"],
    self: "function",
  });
});

test("every method arrives; the body of a GET is dropped; what no Request can be fails clearly", async () => {
  await using runtime = await RuntimeClient.with(ECHO);
  for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH"]) {
    const seen = JSON.parse(await runtime.text({ method, body: "x" }));
    assert.equal(seen.method, method);
    assert.equal(seen.body, method === "GET" ? "" : "eA==");
  }
  for (const method of ["TRACE", "CONNECT"]) {
    const { failed } = await runtime.call({ method });
    assert.match(failed?.message ?? "", new RegExp(`No Request can stand for this call \\(${method} http`));
  }
});

test("a function as default export is called with the same arguments", async () => {
  await using runtime = await RuntimeClient.with(
    "export default ({ method }, env, ctx) => new Response([method, env.A, typeof ctx.waitUntil].join(' '))",
    { env: { A: "1" } },
  );
  assert.equal(await runtime.text(), "GET 1 function");
});

test("several set-cookie stay several, and an empty response has no body", async () => {
  await using runtime = await RuntimeClient.with(`
    export default () => new Response(null, { status: 204, headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"]] });`);
  const { head, body } = await runtime.call();
  assert.equal(head?.status, 204);
  assert.deepEqual(head.headers, [
    ["set-cookie", "a=1"],
    ["set-cookie", "b=2"],
  ]);
  assert.equal(body.length, 0);
});

test("a HEAD request gets the headers and no body, and its stream is cancelled", async () => {
  await using runtime = await RuntimeClient.with(`
    let cancelled = 0;
    export default ({ method }) => method === "HEAD"
      ? new Response(new ReadableStream({ cancel() { cancelled++; } }), { headers: { "content-length": "5" } })
      : new Response(String(cancelled));`);
  const { head, body } = await runtime.call({ method: "HEAD" });
  assert.deepEqual(head?.headers, [["content-length", "5"]]);
  assert.equal(head.last, true);
  assert.equal(body.length, 0);
  assert.equal(await runtime.text(), "1");
});

test("binary bodies pass both ways, whatever their size", async () => {
  await using runtime = await RuntimeClient.with(
    "export default async (request) => new Response(await request.bytes())",
  );
  const sizes = [1, 65_536, frames.MAX_BODY_BYTES_PER_FRAME, frames.MAX_BODY_BYTES_PER_FRAME + 1, 5 * 1024 * 1024];
  for (const size of sizes) {
    const given = Buffer.alloc(
      size,
      Uint8Array.from({ length: 256 }, (_, byte) => byte),
    );
    const call = runtime.request({ method: "POST", bodyFollows: true });
    for (let at = 0; at < size; at += 100_000)
      runtime.wire.write(frames.encodeBody(call, given.subarray(at, at + 100_000)));
    runtime.wire.write(frames.encodeBodyEnd(call));
    const { head, body } = await runtime.reply(call);
    await runtime.next("idle");
    assert.ok(body.equals(given), `${size} bytes`);
    assert.equal(head?.streaming, false);
    assert.equal(head?.last, size <= frames.MAX_BODY_BYTES_PER_FRAME);
  }
});

test("a body is read as it comes, and a reply streams while it does", async () => {
  await using runtime = await RuntimeClient.with(`
    export default (request) => new Response(request.body.pipeThrough(new TransformStream({
      transform(chunk, controller) { controller.enqueue(Buffer.from(String(Buffer.from(chunk)).toUpperCase())); },
    })));`);
  const call = runtime.request({ method: "POST", bodyFollows: true });
  const head = await runtime.next("head");
  assert.deepEqual([head.streaming, head.last, head.body.length], [true, false, 0]);
  for (const text of ["one", "two"]) {
    runtime.wire.write(frames.encodeBody(call, Buffer.from(text)));
    assert.equal(Buffer.from((await runtime.next("chunk")).bytes).toString(), text.toUpperCase());
  }
  runtime.wire.write(frames.encodeBodyEnd(call));
  assert.equal((await runtime.next("end")).error, null);
  await runtime.next("idle");
});

test("a body that is lost fails, and never ends as if it were whole; the next call is served", async () => {
  await using runtime = await RuntimeClient.with(`
    const read = async (request) => {
      let text = "";
      try {
        for await (const chunk of request.body) text += Buffer.from(chunk);
        return text + " whole";
      } catch (error) {
        return text + " " + error.message;
      }
    };
    export default async (request) => new Response(request.url.endsWith("/text") ? await request.text() : await read(request));`);
  const call = runtime.request({ method: "POST", bodyFollows: true });
  runtime.wire.write(frames.encodeBody(call, Buffer.from("half")));
  runtime.wire.write(frames.encodeBodyLost(call));
  assert.match(String((await runtime.reply(call)).body), /^half The request's body broke off/);
  await runtime.next("idle");
  const text = runtime.request({ method: "POST", bodyFollows: true, path: "/text" });
  runtime.wire.write(frames.encodeBodyLost(text));
  assert.match((await runtime.next("failed")).error.message, /broke off/);
  await runtime.next("idle");
  // Of a call that is over it means nothing.
  runtime.wire.write(frames.encodeBodyLost(text));
  const whole = runtime.request({ method: "POST", bodyFollows: true });
  runtime.wire.write(frames.encodeBody(whole, Buffer.from("all")));
  runtime.wire.write(frames.encodeBodyEnd(whole));
  runtime.wire.write(frames.encodeBodyLost(whole));
  assert.equal(String((await runtime.reply(whole)).body), "all whole");
});

test("what a stream gives at once goes with the head; if it ends at once it is no stream", async () => {
  await using runtime = await RuntimeClient.with(`
    const bytes = (text) => new TextEncoder().encode(text);
    export default (request) => new Response(new ReadableStream({
      async start(controller) {
        controller.enqueue(bytes("a"));
        await null;
        controller.enqueue(bytes("b"));
        if (request.url.endsWith("open")) await new Promise((resolve) => setTimeout(resolve, 5));
        controller.close();
      },
    }));`);
  const closed = await runtime.call();
  assert.deepEqual(closed.replyFrames, ["head"]);
  assert.equal(closed.head?.streaming, false);
  assert.equal(closed.body.toString(), "ab");
  const open = await runtime.call({ path: "/open" });
  assert.deepEqual(open.replyFrames, ["head", "end"]);
  assert.equal(open.head?.streaming, true);
  assert.equal(Buffer.from(open.head.body).toString(), "ab");
});

test("a producer that never pauses is passed on before it fills the memory", async () => {
  await using runtime = await RuntimeClient.with(`
    const piece = new Uint8Array(65536);
    export default () => new Response(new ReadableStream({ pull(controller) { controller.enqueue(piece); } }));`);
  runtime.request();
  const head = await runtime.next("head");
  assert.equal(head.streaming, true);
  let bytes = head.body.length;
  while (bytes < 32 * 1024 * 1024) bytes += (await runtime.next("chunk")).bytes.length;
});

test("a slow reader stops the producer", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "sandpiper-test-"));
  context.after(() => rm(folder, { recursive: true }));
  const progress = join(folder, "pulled");
  await using runtime = await RuntimeClient.with(
    `import { writeFileSync } from "node:fs";
    let pulled = 0;
    export default (request, env) => new Response(new ReadableStream({
      async pull(controller) {
        await new Promise((resolve) => setImmediate(resolve));
        if (pulled === 64 * 65536) return controller.close();
        controller.enqueue(new Uint8Array(65536));
        pulled += 65536;
        writeFileSync(env.PROGRESS, String(pulled));
      },
    }));`,
    { env: { PROGRESS: progress } },
  );
  runtime.request();
  const head = await runtime.next("head");
  runtime.wire.pause();
  // The process has nothing left to do once the socket is full.
  await asleep(runtime.process.pid as number);
  assert.ok(Number(await readFile(progress, "utf8")) < 32 * 65536, "the producer waits before the end");
  runtime.wire.resume();
  let bytes = head.body.length;
  for (let message = await runtime.next("chunk", "end"); message.type === "chunk"; ) {
    bytes += message.bytes.length;
    message = await runtime.next("chunk", "end");
  }
  assert.equal(bytes, 64 * 65536);
});

/** Resolves when the process has slept in several looks in a row. */
async function asleep(pid: number): Promise<void> {
  for (let looks = 0; looks < 20; ) {
    const state = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1]?.[0];
    looks = state === "S" ? looks + 1 : 0;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("a function that does not read its body slows the sender, and the next call is not hurt by the rest", async () => {
  await using runtime = await RuntimeClient.with(`
    export default async (request) => {
      if (request.method === "GET") return new Response("next");
      await new Promise((resolve) => process.once("SIGUSR2", resolve));
      return new Response("unread");
    };`);
  const call = runtime.request({ method: "POST", bodyFollows: true });
  const piece = frames.encodeBody(call, new Uint8Array(512 * 1024));
  let refused = 0;
  for (let count = 0; count < 20; count++) if (!runtime.wire.write(piece)) refused++;
  assert.ok(refused > 0);
  await asleep(runtime.process.pid as number);
  assert.ok(runtime.wire.writableLength > 4 * 1024 * 1024, "most of it waits on this side");
  runtime.process.kill("SIGUSR2");
  assert.equal((await runtime.reply(call)).body.toString(), "unread");
  await runtime.next("idle");
  runtime.wire.write(frames.encodeBodyEnd(call));
  assert.equal(await runtime.text(), "next");
  assert.equal(runtime.wire.writableLength, 0);
});

test("waitUntil keeps the instance until its work is done, and the reply does not wait", async () => {
  await using runtime = await RuntimeClient.with(`
    export default (request, env, { waitUntil }) => {
      waitUntil(new Promise((resolve) => process.once("SIGUSR2", resolve)).then(() => console.log("worked")));
      waitUntil(Promise.reject(new Error("late")));
      return new Response("now");
    };`);
  const call = runtime.request();
  assert.equal((await runtime.reply(call)).body.toString(), "now");
  assert.deepEqual(runtime.messages, []);
  runtime.process.kill("SIGUSR2");
  assert.equal((await runtime.next("idle")).call, call);
  assert.match(runtime.logs[0]?.text ?? "", /waitUntil was rejected: Error: late/);
  assert.equal(runtime.logs[1]?.text, "worked");
  assert.deepEqual(
    runtime.logs.map((log) => log.call),
    [call, call],
  );
});

test("cancel aborts the request's signal and ends a streaming reply", async () => {
  await using runtime = await RuntimeClient.with(`
    export default (request) => {
      request.signal.addEventListener("abort", () => console.log("aborted", request.signal.reason.name));
      return new Response(new ReadableStream({ cancel(reason) { console.log("cancelled", reason.name); } }));
    };`);
  const call = runtime.request();
  await runtime.next("head");
  runtime.wire.write(frames.encodeCancel(call));
  assert.equal((await runtime.next("end")).error?.name, "AbortError");
  await runtime.next("idle");
  assert.deepEqual(runtime.logs.map(({ text }) => text).sort(), ["aborted AbortError", "cancelled AbortError"]);
});

const badResults: [what: string, body: string, message: RegExp][] = [
  ["undefined", "undefined", /must return a Response, a text, bytes or a value for JSON, and returned undefined/],
  ["a function", "() => 1", /and returned \[Function/],
  ["a circle", "((a) => (a.a = a))({})", /circular structure/],
  ["parts with a wrong status", "({ status: 99, body: 'a' })", /status must be 200 to 599, and is 99/],
  ["parts with wrong headers", "({ status: 200, headers: { 'a b': 'c' } })", /"a b" is an invalid header name/],
  ["a Proxy", "new Proxy({}, { get() { throw 1 } })", /.*/],
  ["a Response of status 0", "Response.error()", /a Response with the status 0/],
  ["a used body", "(() => { const r = new Response('a'); r.text(); return r })()", /was read already/],
  ["a locked body", "(() => { const r = new Response('a'); r.body.getReader(); return r })()", /being read/],
  [
    "a body of strings",
    "new Response(new ReadableStream({ start(c) { c.enqueue('s') } }))",
    /Uint8Arrays, and gave 's'/,
  ],
  ["a failing body", "new Response(new ReadableStream({ pull() { throw new Error('broke') } }))", /^broke$/],
  [
    "too many headers",
    "new Response('', { headers: [...Array(200).keys()].map((i) => ['h' + i, '']) })",
    /may have 128/,
  ],
  ["a header too long", "new Response('', { headers: { a: 'x'.repeat(20000) } })", /headers that cannot be sent/],
];

test("a result that is no proper Response fails the call and not the instance", async () => {
  const cases = badResults.map(([, body]) => `() => ${body}`).join(",\n");
  await using runtime = await RuntimeClient.with(
    `const cases = [${cases}]; export default (request) => cases[new URL(request.url).pathname.split("/").at(-1)]()`,
  );
  for (const [index, [what, , message]] of badResults.entries()) {
    const { failed } = await runtime.call({ path: `/${index}` });
    assert.match(failed?.message ?? "no failure", message, what);
  }
});

test("a stream that fails soon, before its first byte, fails the call", async () => {
  await using runtime = await RuntimeClient.with(`
    export default () => new Response(new ReadableStream({
      async pull() {
        for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
        throw new Error("soon");
      },
    }));`);
  // On a machine that is busy just then, three turns may take too long: one call of many has to
  // show it.
  for (let call = 0; call < 200; call++) {
    const { failed, endError } = await runtime.call();
    assert.equal((failed ?? endError)?.message, "soon");
    if (failed !== null) return;
  }
  assert.fail("the head always left before the failure");
});

test("a stream's head leaves with its first bytes, or without any when they are long in coming", async () => {
  await using runtime = await RuntimeClient.with(`
    export default (request) => new Response(new ReadableStream({
      async pull(controller) {
        if (request.url.endsWith("/later")) await new Promise((resolve) => process.once("SIGUSR2", resolve));
        else await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
        controller.enqueue(new TextEncoder().encode("first"));
        controller.close();
      },
    }));`);
  const later = runtime.request({ path: "/later" });
  const { streaming, body } = await runtime.next("head");
  assert.deepEqual([streaming, body.length], [true, 0]);
  runtime.process.kill("SIGUSR2");
  assert.equal((await runtime.next("chunk")).call, later);
  await runtime.next("idle");
  assert.equal(await runtime.text(), "first");
});

test("an error in the middle of a stream ends it with that error", async () => {
  await using runtime = await RuntimeClient.with(`
    export default () => new Response(new ReadableStream({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        controller.enqueue(new Uint8Array(1));
        if (this.once) throw new RangeError("midway");
        this.once = true;
      },
    }));`);
  const { head, endError } = await runtime.call();
  assert.equal(head?.streaming, true);
  assert.equal(endError?.name, "RangeError");
  assert.equal(endError.message, "midway");
  assert.equal((await runtime.call()).head?.status, 200);
});

test("headers too large for a streaming reply fail the call", async () => {
  await using runtime = await RuntimeClient.with(
    "export default () => new Response(new ReadableStream(), { headers: { a: 'x'.repeat(20000) } })",
  );
  assert.match((await runtime.call()).failed?.message ?? "", /headers that cannot be sent/);
});

test("the process ends when the worker closes the wire", async () => {
  await using runtime = await RuntimeClient.with(ECHO);
  runtime.wire.destroy();
  assert.deepEqual(await runtime.exited, { code: 0, signal: null });
});

test("the process ends when the worker breaks the protocol", async () => {
  await using runtime = await RuntimeClient.start();
  runtime.request();
  assert.equal((await runtime.exited).code, 82);
  await using second = await RuntimeClient.start();
  second.wire.write(Buffer.alloc(5, 255));
  await once(second.wire, "close");
  assert.equal((await second.exited).code, 82);
});
