/** Handlers of Node's `(req, res)`, in real runtime processes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  encodeBody,
  encodeBodyEnd,
  encodeCancel,
  type HeaderPairs,
} from "../../../../../sandbox-core/protocol/frames.ts";
import { RuntimeClient } from "../../../../helpers/runtime-client.ts";

/** A runtime with a function of these statements. */
const running = (body: string) => RuntimeClient.with(`export default async (req, res) => { ${body} }`);

const TEXT: HeaderPairs = [["content-type", "text/plain"]];

for (const [form, code] of [
  ["the default export, as module.exports is", "export default (req, res) => res.end('hi ' + req.url)"],
  ["the only export", "export const hello = (req, res) => res.end('hi ' + req.url)"],
  ["the export handler", "export function handler(request, response) { response.end('hi ' + request.url) }"],
  ["one with three parameters", "export default function app(req, res, next) { res.end('hi ' + req.url) }"],
  ["one whose parameters tell nothing, of a configured kind", "export default (a, b) => b.end('hi ' + a.url)"],
  [
    "an application like Koa's",
    "export default { callback: () => (a, b) => b.end('hi ' + a.url), listen() {}, use() {} }",
  ],
  [
    "an application like Fastify's",
    "let ready = false; export default { ready: async () => { ready = true }, listen() {}, routing: (a, b) => b.end(ready && 'hi ' + a.url) }",
  ],
  [
    "a server of node:http",
    "import { createServer } from 'node:http'; export default createServer((a, b) => b.end('hi ' + a.url))",
  ],
] as const) {
  test(`a function of (req, res) is found in ${form}`, async () => {
    await using runtime = await RuntimeClient.with(code, form.includes("configured") ? { kind: "node" } : {});
    const { head, body, replyFrames } = await runtime.call({ path: "/a%20b/..?c=d" });
    assert.deepEqual([head?.status, body.toString(), replyFrames], [200, "hi /a%20b/..?c=d", ["head"]]);
  });
}

test("the request is what the client sent", async () => {
  await using runtime = await running(`
    let text = "";
    for await (const piece of req) text += piece;
    res.setHeader("content-type", "application/json");
    res.end(JSON.stringify({ method: req.method, version: req.httpVersion, headers: req.headers, raw: req.rawHeaders, text,
      address: req.socket.remoteAddress, secure: req.socket.encrypted, complete: req.complete,
      node: req instanceof (await import("node:http")).IncomingMessage }));`);
  const headers: HeaderPairs = [
    ["host", "fn.example.org"],
    ["cookie", "a=1"],
    ["cookie", "b=2"],
    ["accept", "x"],
    ["accept", "y"],
    ["traceparent", "theirs"],
  ];
  const { body } = await runtime.call({ method: "PUT", headers, body: "ä", traceparent: "ours" });
  const seen = JSON.parse(body.toString());
  assert.deepEqual(seen, {
    method: "PUT",
    version: "1.1",
    headers: { host: "fn.example.org", cookie: "a=1; b=2", accept: "x, y", traceparent: "ours", "content-length": "2" },
    raw: [...headers.slice(0, -1), ["traceparent", "ours"], ["content-length", "2"]].flat(),
    text: "ä",
    address: "192.0.2.1",
    secure: false,
    complete: true,
    node: true,
  });
});

test("the response has the status, the reason and the fields that were set, in any of Node's ways", async () => {
  const cases: [statements: string, status: number, reason: string | undefined, headers: HeaderPairs, body: string][] =
    [
      [
        "res.statusCode = 201; res.setHeader('X-A', ['b', 'c']); res.end('made')",
        201,
        undefined,
        [
          ["x-a", "b"],
          ["x-a", "c"],
          ["content-length", "4"],
        ],
        "made",
      ],
      ["res.writeHead(404, 'Gone Fishing', { 'X-A': 'b:c' }).end()", 404, "Gone Fishing", [["x-a", "b:c"]], ""],
      [
        "res.writeHead(200, ['X-A', 'b', 'X-A', 'c']); res.end(Buffer.from([255]))",
        200,
        undefined,
        [
          ["x-a", "b"],
          ["x-a", "c"],
        ],
        "\xff",
      ],
      [
        "res.appendHeader('set-cookie', 'a=1'); res.appendHeader('set-cookie', 'b=2'); res.write('a'); res.write('b', 'latin1'); res.end('c')",
        200,
        undefined,
        [
          ["set-cookie", "a=1"],
          ["set-cookie", "b=2"],
        ],
        "abc",
      ],
      [
        "res.setHeader('transfer-encoding', 'chunked'); res.setHeader('connection', 'close'); res.end('a')",
        200,
        undefined,
        [],
        "a",
      ],
      [
        "res.writeContinue(); res.writeEarlyHints({ link: '</a>; rel=preload' }, () => res.writeHead(204).end())",
        204,
        undefined,
        [],
        "",
      ],
      ["await new Promise(setImmediate); res.end('late')", 200, undefined, [["content-length", "4"]], "late"],
      ["res.flushHeaders(); res.end('a')", 200, undefined, [], "a"],
    ];
  const list = cases.map(([statements]) => `async (req, res) => { ${statements} }`);
  await using runtime = await RuntimeClient.with(
    `const cases = [${list}]; export default (req, res) => cases[req.url.slice(1)](req, res)`,
  );
  for (const [index, [statements, status, reason, headers, body]] of cases.entries()) {
    const result = await runtime.call({ path: `/${index}` });
    assert.deepEqual([result.failed, result.endError], [null, null], statements);
    assert.deepEqual([result.head?.status, result.head?.statusText], [status, reason], statements);
    assert.deepEqual(result.head?.headers, headers, statements);
    assert.equal(result.body.toString("latin1"), body, statements);
  }
});

test("a buffer that the writer uses again is sent as it was", async () => {
  await using runtime = await running(`
    const buffer = Buffer.from("a");
    res.write(buffer, () => {
      buffer[0] = 98;
      res.end(buffer);
    });`);
  assert.equal(await runtime.text(), "ab");
});

test("a client that leaves ends request and response", async () => {
  await using runtime = await running(`
    const seen = [];
    req.on("aborted", () => seen.push("aborted")).on("error", () => seen.push("error")).on("close", () => seen.push("req"));
    res.on("close", () => seen.push("res " + res.writableFinished));
    await new Promise((resolve) => req.once("close", resolve));
    console.log(seen.sort().join());`);
  // Both in one piece: the client has left before the function is called.
  const call = runtime.together(() => {
    const sent = runtime.request({ method: "POST", bodyFollows: true });
    runtime.wire.write(encodeCancel(sent));
    return sent;
  });
  assert.equal((await runtime.reply(call)).failed?.name, "AbortError");
  await runtime.next("idle");
  assert.equal(runtime.logs[0]?.text, "aborted,error,req,res false");
});

test("a client that leaves in the middle of a reply ends the response", async () => {
  await using runtime = await RuntimeClient.with(`
    const closed = [];
    export default (req, res) => {
      if (req.url === "/closed") return res.end(closed.join());
      res.write("first");
      res.on("close", () => closed.push(res.writableFinished));
    };`);
  const call = runtime.request();
  await runtime.next("head");
  runtime.wire.write(encodeCancel(call));
  assert.notEqual((await runtime.next("end")).error, null);
  await runtime.next("idle");
  assert.equal(await runtime.text({ path: "/closed" }), "false");
});

test("what fails is told: before the reply, in the middle of it, and after it", async () => {
  await using runtime = await RuntimeClient.with(`
    const cases = {
      "/sync": (req, res) => { throw new RangeError("sync") },
      "/async": async (req, res) => { throw new RangeError("async") },
      "/middle": async (req, res) => { res.write("a"); await new Promise((r) => process.once("SIGUSR2", r)); throw new RangeError("middle") },
      "/after": async (req, res) => { res.end("a"); throw new RangeError("after") },
      "/late": async (req, res) => { res.end("a"); await new Promise(setImmediate); throw new RangeError("late") },
      "/destroyed": (req, res) => res.destroy(),
      "/raw": (req, res) => req.socket.end("HTTP/1.1 200 OK\\r\\n\\r\\n"),
      "/status": (req, res) => res.writeHead(99),
      "/1xx": (req, res) => res.writeHead(101).end(),
      "/response": (req, res) => new Response("a"),
    };
    export default (req, res) => cases[req.url](req, res);`);
  assert.equal((await runtime.call({ path: "/sync" })).failed?.message, "sync");
  assert.equal((await runtime.call({ path: "/async" })).failed?.message, "async");
  runtime.request({ path: "/middle" });
  await runtime.next("head");
  runtime.process.kill("SIGUSR2");
  assert.equal((await runtime.next("end")).error?.message, "middle");
  await runtime.next("idle");
  for (const path of ["/after", "/late"]) {
    assert.equal((await runtime.call({ path })).body.toString(), "a");
    assert.match(runtime.logs.at(-1)?.text ?? "", new RegExp(`rejected: RangeError: ${path.slice(1)}`));
  }
  assert.match((await runtime.call({ path: "/destroyed" })).failed?.message ?? "", /ended the connection before/);
  assert.match((await runtime.call({ path: "/raw" })).failed?.message ?? "", /ended its answer without status/);
  assert.match((await runtime.call({ path: "/status" })).failed?.message ?? "", /Invalid status code: 99/);
  assert.match((await runtime.call({ path: "/1xx" })).failed?.message ?? "", /must be 200 to 599, and is 101/);
  assert.match((await runtime.call({ path: "/response" })).failed?.message ?? "", /Set "kind": "fetch"/);
});

test("work after the reply keeps the instance for its call", async () => {
  await using runtime = await running(`
    res.end("a");
    await new Promise((resolve) => setTimeout(resolve, 20));
    console.log("done");`);
  const call = runtime.request();
  await runtime.reply(call);
  await runtime.next("idle");
  assert.equal(runtime.logs[0]?.text, "done");
  assert.equal(runtime.logs[0]?.call, call);
});

test("Vercel's helpers are there, and give way to a framework's own", async () => {
  await using runtime = await RuntimeClient.with(`
    import { IncomingMessage, ServerResponse } from "node:http";
    const theirs = Object.create(ServerResponse.prototype, { send: { value() { this.end("theirs"); } } });
    const cases = {
      "/json": (req, res) => res.status(201).json({ query: req.query, cookies: req.cookies, body: req.body }),
      "/text": (req, res) => res.send("<p>"),
      "/bytes": (req, res) => res.send(Buffer.from("a")),
      "/data": (req, res) => res.send([1]),
      "/nothing": (req, res) => res.status(204).send(null),
      "/place": (req, res) => res.redirect("/a"),
      "/other": (req, res) => res.redirect(301, "/b"),
      "/own": (req, res) => { req.body = req.query = "own"; res.send(req.body + req.query); },
      "/framework": (req, res) => {
        Object.setPrototypeOf(req, Object.create(IncomingMessage.prototype));
        Object.setPrototypeOf(res, theirs);
        req.on("data", (piece) => res.write(req.body + String(piece))).on("end", () => res.send());
      },
    };
    export default (req, res) => cases[req.url.split("?")[0]](req, res);`);
  const json = async (body: string, type: string) => {
    const headers: HeaderPairs = [
      ["cookie", "a=b%20c; d=%"],
      ["content-type", type],
    ];
    const result = await runtime.call({ method: "POST", path: "/json?e=f&e=g&h=", headers, body });
    assert.equal(result.head?.status, 201, result.failed?.message);
    return JSON.parse(result.body.toString());
  };
  assert.deepEqual(await json('{"a":1}', "application/json; charset=utf-8"), {
    query: { e: ["f", "g"], h: "" },
    cookies: { a: "b c", d: "%" },
    body: { a: 1 },
  });
  assert.deepEqual((await json("a=b&a=c", "application/x-www-form-urlencoded")).body, { a: ["b", "c"] });
  assert.equal((await json("a", "text/plain")).body, "a");
  assert.equal((await json("a", "image/png")).body, undefined);
  const answers: [path: string, status: number, field: string | undefined, body: string][] = [
    ["/text", 200, "text/html; charset=utf-8", "<p>"],
    ["/bytes", 200, "application/octet-stream", "a"],
    ["/data", 200, "application/json; charset=utf-8", "[1]"],
    ["/nothing", 204, undefined, ""],
    ["/place", 307, "/a", ""],
    ["/other", 301, "/b", ""],
    ["/own", 200, "text/html; charset=utf-8", "ownown"],
    ["/framework", 200, undefined, "undefinedqtheirs"],
  ];
  for (const [path, status, field, expected] of answers) {
    const { head, body } = await runtime.call({ method: "POST", path, headers: TEXT, body: "q" });
    const shown = head?.headers.find(([name]) => name === "content-type" || name === "location")?.[1];
    assert.deepEqual([head?.status, shown, body.toString()], [status, field, expected], path);
  }
});

test("a body that follows its request is there for req.body, and JSON that is none is the client's fault", async () => {
  await using runtime = await running("res.json(req.body)");
  const send = async (body: string) => {
    const headers: HeaderPairs = [["content-type", "application/json"]];
    const call = runtime.request({ method: "POST", headers, bodyFollows: true });
    for (const piece of body) runtime.wire.write(encodeBody(call, Buffer.from(piece)));
    runtime.wire.write(encodeBodyEnd(call));
    const reply = await runtime.reply(call);
    await runtime.next("idle");
    return [reply.head?.status, reply.body.toString()];
  };
  assert.deepEqual(await send('{"a":1}'), [200, '{"a":1}']);
  assert.deepEqual(await send('{"a":'), [400, "Invalid JSON"]);
});

test("HEAD has the fields and no body", async () => {
  await using runtime = await running("res.setHeader('content-length', 5); res.end('hello')");
  const { head, body } = await runtime.call({ method: "HEAD" });
  assert.deepEqual([head?.status, head?.headers, body.length], [200, [["content-length", "5"]], 0]);
});

test("a function that replaces globals and Node's own members still answers", async () => {
  await using runtime = await RuntimeClient.with(`
    globalThis.queueMicrotask = globalThis.setImmediate = globalThis.clearImmediate = globalThis.ReadableStream = null;
    Buffer.concat = Buffer.from = () => { throw new Error("Buffer") };
    process.getBuiltinModule = null;
    export default async (req, res) => { res.write("a"); await new Promise((resolve) => setTimeout(resolve, 20)); res.end("b"); };`);
  assert.equal(await runtime.text(), "ab");
});
