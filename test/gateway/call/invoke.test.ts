import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { after, before, beforeEach, describe, it } from "node:test";
import type { HeaderPairs, Invocation } from "../../../functions/model/invocation.ts";
import { CancellationReceiver } from "../../../functions/transport/cancellations.ts";
import { eventually } from "../../helpers/eventually.ts";
import { type Head, head, RawClient, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

let test: TestGateway;
before(async () => {
  test = await startTestGateway({ maxBodyBytes: 300_000, gatewayHosts: ["a.example", "elsewhere.example"] });
});
after(() => test.stop());
beforeEach(() => {
  test.answer = () => ({ body: Buffer.from("hello") });
});

/** The fields that the client sent. */
function own(headers: HeaderPairs): HeaderPairs {
  return headers.filter(([name]) => !name.startsWith("x-forwarded-"));
}

/** The next invocation that the worker's side sees. */
function nextInvocation(): Promise<Invocation> {
  return new Promise((resolve) => {
    test.answer = (invocation) => {
      resolve(invocation);
      return {};
    };
  });
}

/** Body bytes of the next invocation, as a worker would take them. */
function nextBody(): Promise<Buffer | null> {
  return new Promise((resolve) => {
    test.answer = async (invocation) => {
      resolve(await test.bodyOf(invocation));
      return {};
    };
  });
}

describe("what reaches a function", () => {
  it("is the path below its URL as it was sent", async () => {
    for (const [target, path] of [
      ["/fn/main/hello", "/"],
      ["/fn/main/hello?a=1", "/?a=1"],
      ["/fn/main/hello/", "/"],
      ["/fn/main/hello/a%2Fb//c/../d?x=%20&y", "/a%2Fb//c/../d?x=%20&y"],
      ["/fn/main/hello//evil.example/x", "//evil.example/x"],
      ['/fn/main/hello/%00%ff|\\"<>^`{}', '/%00%ff|\\"<>^`{}'],
      ["http://elsewhere.example/fn/main/hello/abs?q", "/abs?q"],
    ] as const) {
      const seen = nextInvocation();
      const client = new RawClient(test.url);
      client.send(`GET ${target} HTTP/1.1\r\nhost: a.example\r\n\r\n`);
      await client.until(/200 OK/);
      client.close();
      const { request } = await seen;
      assert.equal(request.path, path);
      const host = target.startsWith("/") ? "a.example" : "elsewhere.example";
      assert.equal(request.url, `http://${host}${path}`);
      assert.deepEqual(own(request.headers), [["host", host]]);
    }
  });

  it("has every header field as a pair of its own, but for those of the connection", async () => {
    const seen = nextInvocation();
    const client = new RawClient(test.url);
    client.send(
      "GET /fn/main/hello HTTP/1.1\r\nHost: a.example\r\nX-A: 1\r\nx-a: 2\r\nCookie: a=1\r\nCookie: b=2\r\n" +
        "Connection: keep-alive, X-Hop, Authorization\r\nX-Hop: gone\r\nAuthorization: Bearer theirs\r\nTE: trailers\r\n" +
        "X-Request-Id: mine\r\n__proto__: odd\r\nX-Latin: caf\xe9\r\n\r\n",
    );
    const answer = await client.until(/200 OK[\s\S]*\r\n\r\n/);
    client.close();
    const { request, id } = await seen;
    assert.deepEqual(own(request.headers), [
      ["host", "a.example"],
      ["x-a", "1"],
      ["x-a", "2"],
      ["cookie", "a=1"],
      ["cookie", "b=2"],
      ["authorization", "Bearer theirs"],
      ["x-request-id", "mine"],
      ["__proto__", "odd"],
      ["x-latin", "caf\xe9"],
    ]);
    assert.match(answer, new RegExp(`x-request-id: ${id}\r\n`));
  });

  it("has the body byte for byte, small or large, with a length or in chunks", async () => {
    for (const size of [0, 1, 16_384, 16_385, 300_000]) {
      const bytes = Buffer.from(Array.from({ length: size }, (_, i) => (i * 7) & 255));
      for (const chunked of [false, true]) {
        const seen = nextBody();
        const body = chunked ? new Blob([bytes]).stream() : bytes;
        const response = await fetch(`${test.url}/fn/main/hello`, {
          method: "POST",
          body,
          duplex: "half",
        } as RequestInit);
        assert.equal(response.status, 200);
        const got = (await seen) ?? Buffer.alloc(0);
        assert.ok(got.equals(bytes), `${size} bytes, ${chunked ? "in chunks" : "with a length"}`);
      }
    }
    assert.deepEqual(await test.connection.keys("sp:body:*"), []);
  });

  it("may have any method", async () => {
    for (const method of ["PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
      const seen = nextInvocation();
      await fetch(`${test.url}/fn/main/hello`, { method });
      assert.equal((await seen).request.method, method);
    }
  });

  it("has the trace context of the client", async () => {
    const seen = nextInvocation();
    await fetch(`${test.url}/fn/main/hello`, { headers: { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-00` } });
    const { request } = await seen;
    assert.ok(request.headers.some(([name]) => name === "traceparent"));
  });
});

describe("what a client gets", () => {
  it("is the reply's status, fields in order and bytes", async () => {
    test.answer = () => ({
      status: 201,
      headers: [
        ["set-cookie", "a=1"],
        ["X-Mixed", "b"],
        ["set-cookie", "c=2"],
        ["content-length", "999"],
        ["transfer-encoding", "chunked"],
        ["connection", "close"],
        ["x-request-id", "forged"],
        ["x-latin", "caf\xe9"],
      ],
      body: Buffer.from([0, 255, 13, 10]),
    });
    const client = new RawClient(test.url);
    client.send("GET /fn/main/hello HTTP/1.1\r\nhost: a\r\n\r\n");
    const answer = await client.until(/\r\n\r\n[\s\S]{4}$/);
    client.close();
    const [lines = "", body] = answer.split("\r\n\r\n");
    const fields = lines
      .split("\r\n")
      .slice(1)
      .filter((line) => !/^(date|connection|keep-alive):/i.test(line));
    assert.match(lines, /^HTTP\/1.1 201 Created\r\n/);
    const id = /x-request-id: (.*)/.exec(lines)?.[1];
    assert.match(id ?? "", /^[0-9a-f-]{36}$/);
    assert.deepEqual(fields, [
      "set-cookie: a=1; Path=/fn/main/hello",
      "x-mixed: b",
      "set-cookie: c=2; Path=/fn/main/hello",
      "x-latin: caf\xe9",
      "content-length: 4",
      `x-request-id: ${id}`,
      "x-sandpiper-outcome: ok",
      `x-sandpiper-version: ${/x-sandpiper-version: (\w{12})\r/.exec(lines)?.[1]}`,
      "server-timing: queue;dur=1, sandbox;dur=2, init;dur=3, handler;dur=4",
    ]);
    assert.equal(body, "\x00\xff\r\n");
  });

  it("is one reply for each request, in step, whatever the replies before it claimed", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const hostile: Parameters<typeof head>[1][] = [
      { status: 204, body: Buffer.from("HTTP/1.1 200 OK\r\n\r\n") },
      { status: 304, body: Buffer.from("no body may be here") },
      { status: 205, body: Buffer.from("nor here") },
      { headers: [["content-length", "1"]], body: Buffer.from("longer than it says") },
      { headers: [["content-length", "100000"]], body: Buffer.from("shorter") },
      { headers: [["transfer-encoding", "chunked"]], body: Buffer.from("0\r\n\r\n") },
      {
        headers: [
          ["content-length", "5"],
          ["content-length", "6"],
        ],
        body: Buffer.from("x"),
      },
      {
        headers: [
          ["connection", "upgrade"],
          ["upgrade", "websocket"],
        ],
        body: Buffer.from("x"),
      },
      {
        headers: [
          ["trailer", "x"],
          ["keep-alive", "timeout=0"],
        ],
        body: Buffer.from("x"),
      },
    ];
    const sockets = new Set<unknown>();
    for (const method of ["GET", "HEAD"]) {
      for (const parts of hostile) {
        test.answer = () => parts ?? {};
        await ask(agent, method, sockets);
        test.answer = () => ({ body: Buffer.from("in step") });
        assert.equal((await ask(agent, "GET", sockets)).body, "in step");
      }
    }
    assert.equal(sockets.size, 1);
    agent.destroy();
  });

  it("is INVALID_REPLY for what is no response, and the connection goes on", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const sockets = new Set<unknown>();
    for (const parts of [
      { headers: [["x-a", "b\r\nset-cookie: forged=1"]] },
      { headers: [["x-a", "snow \u2603"]] },
      { headers: [["x a", "b"]] },
      { headers: [["", "b"]] },
      { headers: [["x-a", "nul \0"]] },
      { headers: [["x-a", "b".repeat(70_000)]] },
      { status: 101 },
      { status: 99 },
      { status: 600 },
      { status: 200.5 },
      { status: Number.NaN },
      { streaming: true, status: 100 },
    ] as Partial<ReturnType<typeof head>>[]) {
      test.answer = () => parts;
      const { status, body } = await ask(agent, "GET", sockets);
      assert.equal(status, 502);
      assert.equal(JSON.parse(body).error.code, "INVALID_REPLY");
    }
    test.answer = () => ({ body: Buffer.from("in step") });
    assert.equal((await ask(agent, "GET", sockets)).body, "in step");
    assert.equal(sockets.size, 1);
    agent.destroy();
  });

  it("is the outcome's status and error", async () => {
    for (const [outcome, code, status] of [
      ["function_error", "FUNCTION_ERROR", 502],
      ["timeout", "TIMEOUT", 504],
      ["out_of_memory", "OUT_OF_MEMORY", 502],
      ["killed", "KILLED", 502],
      ["platform_error", "SANDBOX_LOST", 503],
    ] as const) {
      test.answer = () => ({ outcome, error: { code, message: "This is what happened." } });
      const response = await fetch(`${test.url}/fn/main/hello`);
      assert.equal(response.status, status);
      assert.equal(response.headers.get("x-sandpiper-outcome"), outcome);
      const requestId = response.headers.get("x-request-id");
      assert.deepEqual(await response.json(), { error: { code, message: "This is what happened.", requestId } });
    }
  });

  it("is a stream as it comes, with large pieces in their order", async () => {
    const pieces = [100_000, 10, 200_000, 0, 5].map((size, i) => Buffer.alloc(size, 65 + i));
    const gate = Promise.withResolvers<void>();
    test.answer = async ({ id }, send) => {
      send(head(id, { streaming: true, headers: [["content-length", "3"]], body: Buffer.from("begin ") }));
      await gate.promise;
      for (const body of pieces) send({ kind: "chunk", id, body });
      send({ kind: "end", id, outcome: "ok" });
    };
    const response = await fetch(`${test.url}/fn/main/hello`);
    const reader = response.body!.getReader();
    assert.equal(Buffer.from((await reader.read()).value!).toString(), "begin ");
    gate.resolve();
    const got: Uint8Array[] = [];
    for (let next = await reader.read(); !next.done; next = await reader.read()) got.push(next.value);
    assert.ok(Buffer.concat(got).equals(Buffer.concat(pieces)));
    assert.equal(response.headers.get("content-length"), null);
  });

  it("begins with the head of a stream that has no byte yet", async () => {
    const opened = Promise.withResolvers<void>();
    test.answer = async ({ id }, send) => {
      send(head(id, { streaming: true, headers: [["content-type", "text/event-stream"]] }));
      await opened.promise;
      send({ kind: "chunk", id, body: Buffer.from("data: 1\n\n") });
      send({ kind: "end", id, outcome: "ok" });
    };
    const response = await fetch(`${test.url}/fn/main/hello`);
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    opened.resolve();
    assert.equal(await response.text(), "data: 1\n\n");
  });

  it("is cut off when a stream fails in the middle", async () => {
    test.answer = ({ id }, send) => {
      send(head(id, { streaming: true, body: Buffer.from("begin") }));
      send({ kind: "chunk", id, body: Buffer.from("middle") });
      send({ kind: "end", id, outcome: "timeout", error: { code: "TIMEOUT", message: "late" } });
    };
    const client = new RawClient(test.url);
    client.send("GET /fn/main/hello HTTP/1.1\r\nhost: a\r\n\r\n");
    const answer = await client.ended();
    assert.doesNotMatch(answer, /0\r\n\r\n$/);
  });

  it("is cut off when the worker of a stream is lost", async () => {
    const lost = { outcome: "platform_error", error: { code: "WORKER_LOST", message: "lost" } } as const;
    for (const second of [lost, { outcome: "ok" }] as const) {
      test.answer = ({ id }, send) => {
        send(head(id, { streaming: true, body: Buffer.from("begin") }));
        send(head(id, second));
      };
      await assert.rejects(async () => (await fetch(`${test.url}/fn/main/hello`)).text());
    }
  });

  it("is nothing of replies that come too late, twice or for nobody", async () => {
    test.answer = ({ id }, send) => {
      send({ kind: "chunk", id: "00000000-0000-0000-0000-000000000000", body: Buffer.from("x") });
      send(head(id, { body: Buffer.from("first") }));
      send(head(id, { body: Buffer.from("second") }));
      send({ kind: "chunk", id, body: Buffer.from("third") });
      send({ kind: "end", id, outcome: "ok" });
    };
    assert.equal(await (await fetch(`${test.url}/fn/main/hello`)).text(), "first");
    assert.equal(await (await fetch(`${test.url}/fn/main/hello`)).text(), "first");
  });

  it("has no other length for HEAD than GET has", async () => {
    const lengths: (string | null)[] = [];
    for (const parts of [
      { headers: [["content-length", "1234"]] },
      { body: Buffer.from("hello, hello!!") },
      {},
      { streaming: true },
      { status: 304 },
    ] as Partial<ReturnType<typeof head>>[]) {
      test.answer = ({ id }, send) => {
        send(head(id, parts));
        if (parts.streaming) send({ kind: "end", id, outcome: "ok" });
        return undefined;
      };
      lengths.push((await fetch(`${test.url}/fn/main/hello`, { method: "HEAD" })).headers.get("content-length"));
    }
    assert.deepEqual(lengths, ["1234", "14", null, null, null]);
  });

  it("has the function's reason phrase, if that is one", async () => {
    for (const [statusText, line] of [
      ["Fine, thanks", "HTTP/1.1 200 Fine, thanks"],
      ["caf\xe9", "HTTP/1.1 200 caf\xe9"],
      ["", "HTTP/1.1 200 OK"],
      ["a\r\nset-cookie: forged=1", "HTTP/1.1 200 OK"],
      ["snow \u2603", "HTTP/1.1 200 OK"],
      ["x".repeat(257), "HTTP/1.1 200 OK"],
    ] as const) {
      test.answer = () => ({ statusText });
      const client = new RawClient(test.url);
      client.send("GET /fn/main/hello HTTP/1.1\r\nhost: a\r\n\r\n");
      assert.equal((await client.until(/\r\n\r\n/)).split("\r\n")[0], line);
      client.close();
    }
  });
});

describe("what is refused", () => {
  it("names what does not exist", async () => {
    for (const path of [
      "/fn/main/nothing",
      "/fn/other/hello",
      "/fn/main",
      "/fn/main/",
      "/fn/MAIN/hello",
      "/fn/__proto__/hello",
    ]) {
      const response = await fetch(test.url + path);
      assert.equal(response.status, 404, path);
      assert.equal((await errorOf(response)).code, "FUNCTION_NOT_FOUND");
    }
  });

  it("includes bodies beyond the limit, announced or not, in a way that lets the sender see it", async () => {
    for (const body of [Buffer.alloc(300_001), new Blob([Buffer.alloc(3_000_000)]).stream()]) {
      const init = { method: "POST", body, duplex: "half" } as RequestInit;
      const response = await fetch(`${test.url}/fn/main/hello`, init);
      assert.equal(response.status, 413);
      assert.equal((await errorOf(response)).code, "BODY_TOO_LARGE");
    }
  });

  it("is said before a client that asks has sent its body", async () => {
    const client = new RawClient(test.url);
    client.send("POST /fn/main/hello HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 300001\r\n\r\n");
    const answer = await client.until(/\}\}$/);
    client.close();
    assert.match(answer, /^HTTP\/1.1 413 /);
  });

  it("is not a body that asks first and is small enough", async () => {
    const seen = nextBody();
    const client = new RawClient(test.url);
    client.send("POST /fn/main/hello HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n");
    await client.until(/^HTTP\/1.1 100 Continue\r\n\r\n/);
    client.send("abc");
    await client.until(/HTTP\/1.1 200 OK/);
    client.close();
    assert.equal(String(await seen), "abc");
  });

  it("includes WebSocket, but not other upgrades", async () => {
    for (const [protocol, status] of [
      ["websocket", 501],
      ["h2c", 200],
    ]) {
      const client = new RawClient(test.url);
      client.send(`GET /fn/main/hello HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: ${protocol}\r\n\r\n`);
      assert.match(await client.until(/\r\n\r\n/), new RegExp(`^HTTP/1.1 ${status} `));
      client.close();
    }
  });

  it("includes what is no HTTP, with the same shape of error", async () => {
    for (const [text, status, code] of [
      ["nonsense\r\n\r\n", 400, "MALFORMED_REQUEST"],
      ["GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n", 400, "MALFORMED_REQUEST"],
      ["GET / HTTP/1.1\r\n\r\n", 400, "INVALID_REQUEST"],
      ["GET / HTTP/1.1\r\nhost: a b\r\n\r\n", 400, "INVALID_REQUEST"],
      ["GET / HTTP/1.1\r\nhost: a/b\r\n\r\n", 400, "INVALID_REQUEST"],
      ["GET /fn/main/hello HTTP/1.1\r\nhost: 1.2.3.4.5\r\n\r\n", 400, "INVALID_REQUEST"],
      ["GET /fn/main/hello HTTP/1.1\r\nhost: a:99999\r\n\r\n", 400, "INVALID_REQUEST"],
      [
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        400,
        "MALFORMED_REQUEST",
      ],
      [`GET / HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(20_000)}\r\n\r\n`, 431, "HEADERS_TOO_LARGE"],
    ] as const) {
      const client = new RawClient(test.url);
      client.send(text);
      const answer = await client.until(/\}\}/);
      client.close();
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `), text.slice(0, 60));
      assert.equal(JSON.parse(answer.split("\r\n\r\n")[1]!).error.code, code);
    }
  });

  it("never answers an open request with the next one's fault", async () => {
    const gate = Promise.withResolvers<void>();
    const taken = Promise.withResolvers<void>();
    test.answer = async () => {
      taken.resolve();
      await gate.promise;
      return { body: Buffer.from("hello") };
    };
    const client = new RawClient(test.url);
    client.send("GET /fn/main/hello HTTP/1.1\r\nhost: a\r\n\r\n");
    await taken.promise;
    client.send("nonsense\r\n\r\n");
    gate.resolve();
    const [first, body, second] = (await client.ended()).split(/\r\n\r\n|(?=HTTP)/);
    assert.match(first ?? "", /^HTTP\/1.1 200 /);
    assert.equal(body, "hello");
    assert.match(second ?? "", /^HTTP\/1.1 400 /);
  });
});

describe("a client that leaves", () => {
  let heard: string[] = [];
  let receiver: CancellationReceiver;
  before(async () => {
    receiver = new CancellationReceiver(test.redis.connect(), ({ id }) => heard.push(id));
    await receiver.current();
  });
  after(() => receiver.close());
  beforeEach(() => {
    heard = [];
  });

  for (const [how, version, streams] of [
    ["before its answer", "1.1", false],
    ["in the middle of a stream", "1.1", true],
    ["in the middle of a stream in HTTP/1.0", "1.0", true],
  ] as const) {
    it(`is told of: ${how}`, async () => {
      const asked = Promise.withResolvers<string>();
      test.answer = async ({ id }, send) => {
        if (streams) send(head(id, { streaming: true, body: Buffer.from("begin") }));
        asked.resolve(id);
        return undefined;
      };
      const client = new RawClient(test.url);
      client.send(`GET /fn/main/hello HTTP/${version}\r\nhost: a\r\n\r\n`);
      const id = await asked.promise;
      if (streams) await client.until(/begin/);
      client.close();
      await eventually(() => heard.includes(id));
    });
  }

  it("is not one that only ends its side of the connection", async () => {
    for (const version of ["1.0", "1.1"]) {
      const asked = Promise.withResolvers<void>();
      const answer = Promise.withResolvers<Partial<Head>>();
      test.answer = () => {
        asked.resolve();
        return answer.promise;
      };
      const client = new RawClient(test.url);
      client.send(`GET /fn/main/hello HTTP/${version}\r\nhost: a\r\n\r\n`);
      await asked.promise;
      client.socket.end();
      if (version === "1.1") await client.until(/^HTTP\/1.1 100 Continue/);
      answer.resolve({ body: Buffer.from("for one who waits") });
      assert.match(await client.ended(), /for one who waits$/);
    }
    assert.deepEqual(heard, []);
  });

  it("is not one that was answered, or waits for a later answer", async () => {
    const client = new RawClient(test.url);
    client.send("GET /fn/main/hello HTTP/1.1\r\nhost: a\r\n\r\n".repeat(3));
    client.socket.end();
    const received = await client.ended();
    assert.equal(received.split("200 OK").length, 4);
    assert.deepEqual(heard, []);
  });

  it("is forgotten, and its gateway goes on", async () => {
    const taken = Promise.withResolvers<Invocation>();
    const gate = Promise.withResolvers<void>();
    test.answer = async (invocation) => {
      taken.resolve(invocation);
      await gate.promise;
      return { body: Buffer.from("too late") };
    };
    const client = new RawClient(test.url);
    client.send("GET /fn/main/hello HTTP/1.1\r\nhost: a\r\n\r\n");
    await taken.promise;
    client.close();
    gate.resolve();
    test.answer = () => ({ body: Buffer.from("next") });
    assert.equal(await (await fetch(`${test.url}/fn/main/hello`)).text(), "next");
  });

  it("in the middle of its body makes no call", async () => {
    let calls = 0;
    test.answer = () => {
      calls++;
      return {};
    };
    const client = new RawClient(test.url);
    client.send("POST /fn/main/hello HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc");
    await once(client.socket, "connect");
    client.socket.end();
    await client.ended();
    await fetch(`${test.url}/fn/main/hello`);
    assert.equal(calls, 1);
  });
});

it("sends calls to the version that was deployed last, at once", async () => {
  await (await fetch(`${test.url}/fn/main/hello`)).text();
  const { version } = (await (await test.deploy("hello", { memoryMiB: 256 })).json()) as { version: string };
  const seen = nextInvocation();
  await fetch(`${test.url}/fn/main/hello`);
  assert.equal((await seen).version, version);
  await test.api("/v1/functions/hello", { method: "DELETE" });
  assert.equal((await fetch(`${test.url}/fn/main/hello`)).status, 404);
  await test.deploy("hello");
  assert.equal((await fetch(`${test.url}/fn/main/hello`)).status, 200);
});

it("logs no error of its own in all of this", () => {
  assert.deepEqual(test.logged, []);
});

async function errorOf(response: Response): Promise<{ code: string; message: string; requestId: string }> {
  return ((await response.json()) as { error: { code: string; message: string; requestId: string } }).error;
}

/** One request over an agent's connection; notes which socket it used. */
async function ask(agent: Agent, method: string, sockets: Set<unknown>): Promise<{ status: number; body: string }> {
  const { hostname, port } = new URL(test.url);
  const sent = request({ agent, method, hostname, port, path: "/fn/main/hello" });
  sent.end();
  const [response] = await once(sent, "response");
  sockets.add(response.socket);
  let body = "";
  for await (const chunk of response.setEncoding("latin1")) body += chunk;
  return { status: response.statusCode, body };
}
