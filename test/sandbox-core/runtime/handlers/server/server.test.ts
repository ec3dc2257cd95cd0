/** Modules that listen, in real runtime processes: each call is a request to their server. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import {
  encodeBody,
  encodeBodyEnd,
  encodeCancel,
  type HeaderPairs,
} from "../../../../../sandbox-core/protocol/frames.ts";
import { RuntimeClient } from "../../../../helpers/runtime-client.ts";
import { tempDir } from "../../../../helpers/temp-dir.ts";
import type { LoadOptions } from "../../../../helpers/wire-client.ts";

const IMPORTS = `import { createServer } from "node:http"; import * as net from "node:net"; import { Worker } from "node:worker_threads";`;
const running = (code: string, options: LoadOptions = {}) => RuntimeClient.with(`${IMPORTS} ${code}`, options);
/** A server whose listener of requests has these statements. */
const serving = (body: string) => running(`createServer(async (req, res) => { ${body} }).listen(0);`);
/** A server of bytes, for answers that node:http never gives: each at the path of its number. */
const answering = (answers: readonly string[]) =>
  running(`const answers = ${JSON.stringify(answers)};
    net.createServer((socket) => socket.once("data", (head) => socket.end(answers[/\\d+/.exec(head)[0]], "latin1"))).listen(0);`);

/** What a load is refused with. */
async function refusal(code: string, options: LoadOptions = {}): Promise<string> {
  await using runtime = await RuntimeClient.start();
  const loaded = await runtime.load(`${IMPORTS} ${code}`, options);
  return loaded.type === "load_failed" ? loaded.error.message : "loaded";
}

/** A module with a thread of this code. */
const inThread = (code: string) => `new Worker(${JSON.stringify(code)}, { eval: true })`;
const HI_THERE = `require("node:http").createServer((req, res) => res.end("hi " + req.url))`;
const HI = `createServer((req, res) => res.end("hi " + req.url))`;

for (const [way, code] of [
  ["on the port that it is told", `${HI}.listen(process.env.PORT)`],
  ["on one of its own", `${HI}.listen(0, "127.0.0.1")`],
  ["on IPv6", `${HI}.listen(0, "::1")`],
  ["on a path", `${HI}.listen(process.env.PATH_OF_ITS_OWN)`],
  ["on an abstract name", `${HI}.listen("\\0" + process.env.PATH_OF_ITS_OWN)`],
  ["after what it awaits", `await new Promise((done) => setTimeout(done, 20)); ${HI}.listen(0)`],
  ["later than its evaluation", `setTimeout(() => ${HI}.listen(0), 20)`],
  ["after work of the pool", `import fs from "node:fs"; fs.promises.readdir("/").then(() => ${HI}.listen(0))`],
  [
    "after work of the compiler",
    `WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])).then(() => ${HI}.listen(0))`,
  ],
  [
    "and awaits its server's end",
    `const server = ${HI}.listen(0); await new Promise((done) => server.once("close", done))`,
  ],
  ["in a function that it exports and calls", `export async function main() { await null; ${HI}.listen(0) } main()`],
  ["beside exports that are no handlers", `export const server = ${HI}.listen(0), port = 1; export const path = "/"`],
  ["in a thread", inThread(`${HI_THERE}.listen(0, "127.0.0.1")`)],
  ["in a thread, on any address", inThread(`${HI_THERE}.listen(0)`)],
  ["in a thread, on IPv4 among IPv6", inThread(`${HI_THERE}.listen(0, "::ffff:127.0.0.1")`)],
  ["in a thread, on a path", inThread(`${HI_THERE}.listen(process.env.PATH_OF_ITS_OWN)`)],
  ["in a thread, on an abstract name", inThread(`${HI_THERE}.listen("\0" + process.env.PATH_OF_ITS_OWN)`)],
] as const) {
  test(`a module is served that listens ${way}`, async () => {
    const env = { PORT: "0", PATH_OF_ITS_OWN: join(tempDir(), "s") };
    await using runtime = await running(code, { env });
    for (const path of ["/a%20b/..?c=d", "/"]) {
      const { head, body, replyFrames } = await runtime.call({ path });
      assert.deepEqual([head?.status, body.toString(), replyFrames], [200, `hi ${path}`, ["head"]]);
    }
  });
}

test("of several servers the one on the port that was told counts, then one of HTTP, then the first", async () => {
  const named = (name: string) => `createServer((req, res) => res.end("${name}"))`;
  const PORT = join(tempDir(), "s");
  const cases: [code: string, answer: string][] = [
    [`${named("one")}.listen(0); ${named("two")}.listen(0)`, "one"],
    [`${named("one")}.listen(0); ${named("told")}.listen(process.env.PORT)`, "told"],
    [`net.createServer((socket) => socket.destroy()).listen(0); ${named("http")}.listen(0)`, "http"],
    [`const one = ${named("one")}.listen(0); ${named("two")}.listen(0, () => one.close())`, "two"],
  ];
  for (const [code, answer] of cases) {
    await using runtime = await running(code, { env: { PORT } });
    // One that begins to listen after the load counts from there on.
    while ((await runtime.text()) !== answer) await new Promise((resolve) => setImmediate(resolve));
  }
});

test("an export that is a handler counts above a server, unless the kind is configured", async () => {
  const code = `${HI}.listen(0); export default () => new Response("export");`;
  for (const [kind, answer] of [
    [undefined, "export"],
    ["server", "hi /"],
  ] as const) {
    await using runtime = await running(code, kind === undefined ? {} : { kind });
    assert.equal(await runtime.text(), answer);
  }
  await using app = await running(`export const server = ${HI}; server.listen(0);`, { handler: "server" });
  assert.equal(await app.text(), "hi /");
});

test("what was found is told: the server, or the handler beside which it listens for nothing", async () => {
  const found = async (code: string, options: LoadOptions = {}) => {
    const PORT = join(tempDir(), "s");
    await using runtime = await RuntimeClient.start();
    const loaded = await runtime.load(`${IMPORTS} ${HI}.listen(process.env.PORT); ${code}`, {
      env: { PORT },
      ...options,
    });
    assert.equal(loaded.type, "loaded");
    const { handler, warnings } = (loaded as { found: { handler: string; warnings: string[] } }).found;
    return [handler, ...warnings].map((text) => text.replace(PORT, "PORT"));
  };
  const HANDLER = "export const handler = async () => 1;";
  assert.deepEqual(await found(""), ["server on PORT"]);
  assert.deepEqual(await found(HANDLER, { kind: "server" }), ["server on PORT"]);
  const [handler, warning = ""] = await found(HANDLER);
  assert.equal(handler, "lambda (handler)");
  assert.match(warning, /^The module listens on PORT as well, and nothing goes to its server/);
});

test("a module that will not listen is refused, and told why", async () => {
  assert.match(
    await refusal(`${HI}; // no listen`),
    /exports no handler\. It exports nothing\..*server listen: none does/s,
  );
  assert.match(await refusal(`setTimeout(() => {}, 20); export const a = 1; // no listen`), /exports no handler/);
  assert.match(
    await refusal(`export default () => {}; // no listen`, { kind: "server" }),
    /"server", and the module does not listen/,
  );
  assert.match(
    await refusal(`export default () => {}`, { kind: "server" }),
    /"server", and the module does not listen/,
  );
  assert.match(
    await refusal(`${HI}.listen(0)`, { kind: "server", handler: "a" }),
    /"handler" in sandpiper.jsonc names an export/,
  );
  assert.match(await refusal(`import https from "node:https"; https.createServer().listen(0)`), /on \d+ speaks TLS/);
  assert.match(
    await refusal(`${HI}.listen(0).on("listening", () => { throw new RangeError("at listening") })`),
    /loaded|at listening/,
  );
  assert.match(await refusal(`${HI}.listen("/nowhere/s")`), /listen E\w+.*\/nowhere\/s/);
});

test("the request is what the client sent, and says whose connection it is not", async () => {
  await using runtime = await serving(`
    let text = "";
    for await (const piece of req) text += piece;
    res.end(JSON.stringify({ method: req.method, url: req.url, raw: req.rawHeaders, text, complete: req.complete, socket: req.socket instanceof net.Socket }));`);
  const headers: HeaderPairs = [
    ["host", "fn.example.org"],
    ["cookie", "a=1"],
    ["connection", "close"],
    ["expect", "100-continue"],
    ["transfer-encoding", "gzip"],
    ["content-length", "99"],
    ["x-latin", "\xe4"],
    ["traceparent", "theirs"],
    ["accept", "x"],
    ["accept", "y"],
  ];
  const seen = async (options: Parameters<RuntimeClient["call"]>[0]) => JSON.parse(await runtime.text(options));
  const kept = ["host", "fn.example.org", "cookie", "a=1", "x-latin", "\xe4", "accept", "x", "accept", "y"];
  assert.deepEqual(await seen({ method: "PUT", path: "/a?b", headers, body: "ä", traceparent: "ours" }), {
    method: "PUT",
    url: "/a?b",
    raw: [...kept, "traceparent", "ours", "content-length", "2"],
    text: "ä",
    complete: true,
    socket: true,
  });
  assert.deepEqual((await seen({ method: "POST" })).raw, ["host", "localhost:8080", "content-length", "0"]);
  assert.deepEqual((await seen({ path: "/a b\r\nx: y" })).url, "/a%20b%0D%0Ax:%20y");
  assert.equal((await seen({ method: "PROPFIND" })).method, "PROPFIND");
});

test("a body that follows goes on as it comes, in chunks or with its length", async () => {
  await using runtime = await serving(`
    res.flushHeaders();
    for await (const piece of req) res.write(piece);
    res.end(" " + (req.headers["content-length"] ?? req.headers["transfer-encoding"]));`);
  const send = async (headers: HeaderPairs, pieces: string[]) => {
    const call = runtime.request({ method: "POST", headers, bodyFollows: true });
    let heard = Buffer.from((await runtime.next("head")).body).toString();
    for (const piece of pieces) {
      runtime.wire.write(encodeBody(call, Buffer.from(piece)));
      // The server has it before the next one is sent.
      while (!heard.endsWith(piece)) heard += Buffer.from((await runtime.next("chunk")).bytes).toString();
    }
    runtime.wire.write(encodeBodyEnd(call));
    for (;;) {
      const more = await runtime.next("chunk", "end");
      if (more.type === "end") break;
      heard += Buffer.from(more.bytes).toString();
    }
    await runtime.next("idle");
    return heard;
  };
  assert.equal(await send([], ["ab", "c"]), "abc chunked");
  assert.equal(await send([["content-length", "3"]], ["ab", "c"]), "abc 3");
});

test("a body that is other than its length says breaks off, and no later call pays for it", async () => {
  await using runtime = await serving(`
    let text = "";
    try { for await (const piece of req) text += piece; } catch { return; }
    res.end(text + req.url);`);
  for (const body of ["abcd", "ab"]) {
    const headers: HeaderPairs = [["content-length", "3"]];
    const call = runtime.request({ method: "POST", headers, bodyFollows: true, path: "/short" });
    runtime.wire.write(encodeBody(call, Buffer.from(body)));
    runtime.wire.write(encodeBodyEnd(call));
    assert.match(
      (await runtime.reply(call)).failed?.message ?? "",
      /of the request's body came than its content-length/,
    );
    await runtime.next("idle");
    assert.equal(await runtime.text({ path: "/next" }), "/next");
  }
});

test("a server that answers before it has read the body is heard", async () => {
  await using runtime = await serving(`res.writeHead(413).end("too much " + req.url);`);
  const call = runtime.request({ method: "POST", bodyFollows: true });
  const reply = await runtime.reply(call);
  assert.deepEqual([reply.head?.status, reply.body.toString()], [413, "too much /"]);
  runtime.wire.write(encodeBodyEnd(call));
  await runtime.next("idle");
  assert.equal(await runtime.text({ path: "/2" }), "too much /2");
});

test("answers have the status, the reason, the fields and the body that the server gave", async () => {
  const cases: [statements: string, status: number, reason: string | undefined, headers: HeaderPairs, body: string][] =
    [
      [
        "res.statusCode = 201; res.setHeader('X-A', ['b', 'c']); res.end('made')",
        201,
        undefined,
        [
          ["x-a", "b"],
          ["x-a", "c"],
        ],
        "made",
      ],
      ["res.writeHead(404, 'Gone Fishing', { 'X-A': ' b:c ' }).end()", 404, "Gone Fishing", [["x-a", "b:c"]], ""],
      [
        "res.appendHeader('set-cookie', 'a=1'); res.appendHeader('set-cookie', 'b=2'); res.write('a'); res.end('\xff')",
        200,
        undefined,
        [
          ["set-cookie", "a=1"],
          ["set-cookie", "b=2"],
        ],
        "a\xc3\xbf",
      ],
      [
        "res.writeHead(200, { connection: 'close, x-b', 'x-b': '1', 'keep-alive': 'timeout=1', upgrade: 'h2c' }).end('a')",
        200,
        undefined,
        [],
        "a",
      ],
      [
        "res.writeContinue(); res.writeEarlyHints({ link: '</a>; rel=preload' }); res.writeHead(204).end()",
        204,
        undefined,
        [],
        "",
      ],
      ["res.writeHead(304, { etag: '1' }).end()", 304, undefined, [["etag", "1"]], ""],
      [
        "res.writeHead(200, { trailer: 'x-sum' }); res.write('a'); res.addTrailers({ 'x-sum': '1' }); res.end('b')",
        200,
        undefined,
        [],
        "ab",
      ],
      ["res.writeHead(200, { 'content-length': 3 }).end('abc')", 200, undefined, [], "abc"],
      ["res.end('x'.repeat(3 << 20))", 200, undefined, [], "x".repeat(3 << 20)],
    ];
  const list = cases.map(([statements]) => `(req, res) => { ${statements} }`);
  await using runtime = await running(`const cases = [${list}];
    createServer((req, res) => { res.sendDate = false; cases[req.url.slice(1)](req, res); }).listen(0);`);
  for (const [index, [statements, status, reason, headers, body]] of cases.entries()) {
    const result = await runtime.call({ path: `/${index}` });
    assert.deepEqual([result.failed, result.endError], [null, null], statements);
    assert.deepEqual([result.head?.status, result.head?.statusText], [status, reason], statements);
    const given = result.head?.headers.filter(([name]) => name !== "content-length");
    assert.deepEqual(given, headers, statements);
    assert.ok(result.body.equals(Buffer.from(body, "latin1")), statements);
  }
});

test("HEAD has the fields and no body, and the next call finds its own answer", async () => {
  await using runtime = await serving(`res.setHeader("content-length", 5); res.end("hello");`);
  const { head, body } = await runtime.call({ method: "HEAD" });
  const length = head?.headers.find(([name]) => name === "content-length")?.[1];
  assert.deepEqual([head?.status, length, body.length], [200, "5", 0]);
  assert.equal(await runtime.text(), "hello");
});

test("a stream opens before its first bytes", async () => {
  await using runtime = await serving(`res.flushHeaders(); req.socket.once("close", () => {});`);
  const call = runtime.request();
  assert.deepEqual([(await runtime.next("head")).streaming], [true]);
  runtime.wire.write(encodeCancel(call));
  await runtime.next("end");
});

test("a client that leaves closes the connection, before the answer and in the middle of it", async () => {
  await using runtime = await running(`
    const closed = [];
    createServer((req, res) => {
      if (req.url === "/closed") return res.end(closed.join());
      if (req.url === "/middle") res.write("first");
      console.log("begun");
      res.on("close", () => closed.push(req.url + " " + res.writableFinished));
    }).listen(0);`);
  const before = runtime.request({ path: "/before" });
  while (runtime.logs.length === 0) await new Promise((resolve) => setImmediate(resolve));
  runtime.wire.write(encodeCancel(before));
  assert.equal((await runtime.reply(before)).failed?.name, "AbortError");
  await runtime.next("idle");
  const middle = runtime.request({ path: "/middle" });
  await runtime.next("head");
  runtime.wire.write(encodeCancel(middle));
  assert.notEqual((await runtime.next("end")).error, null);
  await runtime.next("idle");
  assert.equal(await runtime.text({ path: "/closed" }), "/before false,/middle false");
});

const wrong: [what: string, bytes: string, message: RegExp][] = [
  ["nothing", "", /ended the connection without an answer/],
  ["what is no HTTP", "garbage\r\n\r\n", /not HTTP\/1\.1, and begins with 'garbage/],
  ["what begins like HTTP and is none", "HTTP/1.1 OK\r\n\r\n", /not HTTP\/1\.1, and begins with 'HTTP\/1\.1 OK/],
  ["an older HTTP", "HTTP/0.9 200 OK\r\n\r\n", /not HTTP\/1\.1/],
  ["half a head", "HTTP/1.1 200 OK\r\nx-a: b\r\n", /closed the connection in the middle of its answer/],
  ["a line that is no field", "HTTP/1.1 200 OK\r\nx a: b\r\n\r\n", /the header line 'x a: b'/],
  ["two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", /the content-length '1, 2'/],
  ["a length that is none", "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", /the content-length '-1'/],
  [
    "a coding that nobody asked for",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
    /the transfer coding 'gzip, chunked'/,
  ],
  ["another protocol", "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", /switched to another protocol/],
];

test("a server whose answer is none is to blame, and named", async () => {
  await using runtime = await answering(wrong.map(([, bytes]) => bytes));
  for (const [index, [what, , message]] of wrong.entries()) {
    const { failed, head } = await runtime.call({ path: `/${index}` });
    assert.equal(head, null, what);
    assert.match(failed?.message ?? "", message, what);
    assert.match(failed?.message ?? "", /^The function's server on \d+ /);
  }
});

test("half an answer does not pass for a whole one", async () => {
  await using runtime = await answering([
    "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
  ]);
  for (const path of ["/0", "/1"]) {
    const { head, failed, endError } = await runtime.call({ path });
    assert.match((failed ?? endError)?.message ?? "", /closed the connection in the middle of its answer/);
    assert.ok(head === null || !head.last);
  }
});

test("an answer without a length ends with its connection, and what comes behind an answer is nobody's", async () => {
  await using runtime = await answering([
    "HTTP/1.0 200 Fine\r\nx-a: b\r\n\r\nall of it",
    "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\naHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nb",
  ]);
  const { head, body } = await runtime.call({ path: "/0" });
  assert.deepEqual([head?.statusText, head?.headers, body.toString()], ["Fine", [["x-a", "b"]], "all of it"]);
  for (let call = 0; call < 2; call++) assert.equal(await runtime.text({ path: "/1" }), "a");
});

test("a process whose server closed answers to the end, begins no other call, and leaves", async () => {
  await using runtime = await running(`
    const server = createServer((req, res) => {
      server.close();
      res.write("all ");
      setTimeout(() => res.end("of it"), 5);
    }).listen(0);`);
  const call = runtime.request();
  assert.equal((await runtime.reply(call)).body.toString(), "all of it");
  assert.equal((await runtime.next("leaving")).lastBegun, call);
  await runtime.exited;
  assert.match(runtime.logs[0]?.text ?? "", /^The function's server on \d+ no longer listens.*This instance ends/);
});

test("a server that closed between calls fails one of them, and no other", async () => {
  await using runtime = await running(`
    const server = createServer((req, res) => {
      res.end("open");
      res.once("close", () => server.close(() => console.log("closed")));
    }).listen(0);
    Object.defineProperty(server, "listening", { value: true, writable: true });`);
  assert.equal(await runtime.text(), "open");
  while (runtime.logs.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const call = runtime.request();
  assert.match((await runtime.reply(call)).failed?.message ?? "", /^The function's server on \d+ no longer listens/);
  assert.equal((await runtime.next("leaving")).lastBegun, call);
  await runtime.exited;
});

test("a server of a thread that listens elsewhere is found there", async () => {
  const moving = `const open = () => {
      const server = require("node:http").createServer((req, res) => {
        res.end("" + server.address().port);
        res.once("close", () => server.close(() => { open().once("listening", () => console.log("moved")); }));
      });
      return server.listen(0, "127.0.0.1");
    };
    open();`;
  await using runtime = await running(inThread(moving));
  for (let moves = 1; moves <= 3; moves++) {
    assert.match(await runtime.text(), /^\d+$/);
    while (runtime.logs.length < moves) await new Promise((resolve) => setImmediate(resolve));
  }
});

test("calls share a connection, as long as their server keeps it", async () => {
  await using runtime = await running(`
    const server = createServer((req, res) => {
      if (req.url === "/last") res.setHeader("connection", "close");
      res.end(String(req.socket.remotePort));
    }).listen(0);`);
  const first = await runtime.text();
  assert.equal(await runtime.text({ method: "POST", body: "a" }), first);
  assert.equal(await runtime.text({ path: "/last" }), first);
  assert.notEqual(await runtime.text(), first);
});

test("a request that met the end of its connection is sent again, unless the server had begun it", async () => {
  await using runtime = await running(`
    let seen = 0;
    const server = createServer((req, res) => {
      seen++;
      if (req.url === "/drop") return req.socket.destroy();
      res.end(String(seen));
      // Ended in the turn in which the next request is on its way, as a keep-alive timer would.
      if (req.url === "/end") req.socket.once("data", () => {}), req.socket.on("readable", () => {}), res.once("finish", () => process.nextTick(() => req.socket.destroy()));
    }).listen(0);`);
  assert.equal(await runtime.text(), "1");
  assert.equal(await runtime.text({ path: "/end" }), "2");
  assert.equal(await runtime.text({ method: "POST", body: "x" }), "3");
  const { failed } = await runtime.call({ path: "/drop", method: "POST", body: "x" });
  assert.match(failed?.message ?? "", /without an answer/);
  assert.equal(await runtime.text(), "5");
});

test("an error that a request left behind is its own call's, and the call that runs then ends first", async () => {
  await using runtime = await running(`
    let isWaiting = false, isThrown = false;
    createServer(async (req, res) => {
      if (req.url === "/leave") {
        const timer = setInterval(() => {
          if (!isWaiting) return;
          clearInterval(timer);
          isThrown = true;
          throw new Error("left behind");
        }, 1);
      } else {
        isWaiting = true;
        while (!isThrown) await new Promise((resolve) => setTimeout(resolve, 1));
      }
      res.end("ok");
    }).listen(0);`);
  await runtime.call({ path: "/leave" });
  const second = runtime.request({ path: "/wait" });
  assert.equal((await runtime.next("leaving")).lastBegun, second);
  assert.equal((await runtime.reply(second)).body.toString(), "ok");
  assert.match(runtime.logs[0]?.text ?? "", /^Uncaught Error: left behind/);
  assert.equal(runtime.logs[0]?.call, 1);
});

test("an error that nobody catches fails the call that it comes from", async () => {
  await using runtime = await serving(`throw new RangeError("at " + req.url);`);
  const { failed } = await runtime.reply(runtime.request({ path: "/a" }));
  assert.deepEqual([failed?.name, failed?.message], ["RangeError", "at /a"]);
  assert.equal((await runtime.exited).code, 81);
});

test("an evaluation that fails after its server listened ends the process, and says why", async () => {
  await using runtime = await running(
    `
    ${HI}.listen(0);
    await new Promise((resolve) => { globalThis.fail = resolve; });
    throw new RangeError("too late");
    `.replace(HI, `createServer((req, res) => { res.end("hi"); if (req.url === "/fail") fail(); })`),
  );
  assert.equal(await runtime.text(), "hi");
  runtime.request({ path: "/fail" });
  assert.equal((await runtime.exited).code, 81);
  assert.match(JSON.stringify([runtime.messages, runtime.logs]), /too late/);
});

test("a module that replaces globals and Node's own members still answers", async () => {
  await using runtime = await running(`
    import http from "node:http";
    import plainNet from "node:net";
    http.request = http.get = http.ClientRequest = plainNet.connect = plainNet.createConnection = null;
    globalThis.queueMicrotask = globalThis.ReadableStream = globalThis.URL = null;
    net.Socket.prototype.connect = () => { throw new Error("connect") };
    Buffer.concat = () => { throw new Error("Buffer") };
    createServer((req, res) => { res.write("a"); res.end("b"); }).listen(0);`);
  assert.equal(await runtime.text({ headers: [["host", "a"]] }), "ab");
});
