/** The front before a server that stands where a gateway would. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { text } from "node:stream/consumers";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { CallStories } from "../../../../../functions/cli/dev/call-stories.ts";
import type { DevFailure } from "../../../../../functions/cli/dev/failure.ts";
import { upstreamOf } from "../../../../../functions/cli/dev/front/forward.ts";
import { Front, type FrontState } from "../../../../../functions/cli/dev/front/front.ts";
import { CHANGES_PATH } from "../../../../../functions/cli/dev/front/page.ts";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

let handler: Handler;
const gateway = createServer((request, response) => handler(request, response));
let gatewayUrl: string;
before(async () => {
  await once(gateway.listen(0, "127.0.0.1"), "listening");
  gatewayUrl = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`;
});
after(() => gateway.close());

let front: Front;
let state: FrontState;
let stories: CallStories;
let refused: { path: string; status: number; reason: string }[];
beforeEach(async () => {
  [stories, refused] = [new CallStories(), []];
  const sources = { root: "/", paths: new Set<string>() };
  state = { upstream: null, failure: null, reloading: null, sources };
  front = await Front.listen(0, { state: () => state, stories, onRefused: (one) => refused.push(one) });
  state.upstream = upstreamOf(`${gatewayUrl}/fn/main/a-dev`, gatewayUrl, front.port);
});
afterEach(() => front.close());

const url = (path = "/") => `http://127.0.0.1:${front.port}${path}`;
const HTML = { accept: "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8" };
const FAILURE: DevFailure = {
  ...{ code: "BUILD_FAILED", title: "The function does not build", mayPass: false },
  message: 'index.ts:1:1: <script>alert("x")</script>\u001b[31m',
};

describe("a request", () => {
  it("goes to the function with its method, path, fields and body, and its answer comes back", async () => {
    handler = async (request, response) => {
      const body = await text(request);
      response.writeHead(201, "Made", ["set-cookie", "a=1", "set-cookie", "b=2", "x-sandpiper-outcome", "ok"]);
      response.end(JSON.stringify({ method: request.method, url: request.url, body, mode: request.headers["x-mode"] }));
    };
    const answer = await fetch(url("/a%2Fb?c=d"), { method: "DELETE", headers: { "x-mode": "m" }, body: "data" });
    assert.deepEqual([answer.status, answer.statusText], [201, "Made"]);
    assert.deepEqual(answer.headers.getSetCookie(), ["a=1", "b=2"]);
    const expected = { method: "DELETE", url: "/fn/main/a-dev/a%2Fb?c=d", body: "data", mode: "m" };
    assert.deepEqual(await answer.json(), expected);
    assert.deepEqual(refused, []);
  });

  it("sees the function's own host, with the port of this front", async () => {
    state.upstream = upstreamOf("http://a-dev.main.localhost:8787/", gatewayUrl, front.port);
    handler = ({ headers, url }, response) => response.end(`${headers.host}${url}`);
    assert.equal(await (await fetch(url("/x"))).text(), `a-dev.main.localhost:${front.port}/x`);
    const elsewhere = upstreamOf("https://a-dev.main.example.com/", "https://example.com", front.port);
    assert.deepEqual(
      [elsewhere.origin, elsewhere.hostFor("localhost:1")],
      ["https://a-dev.main.example.com", "a-dev.main.example.com"],
    );
  });

  it("streams both ways", async () => {
    handler = (request, response) => {
      response.writeHead(200, { "x-sandpiper-outcome": "ok" }).flushHeaders();
      request.pipe(response);
    };
    const sending = request(url(), { method: "POST" });
    sending.flushHeaders();
    const [answer] = (await once(sending, "response")) as [IncomingMessage];
    for (const piece of ["one", "two"]) {
      sending.write(piece);
      assert.equal(String((await once(answer, "data"))[0]), piece);
    }
    sending.end();
    await once(answer, "end");
  });

  it("ends at the gateway when its client leaves", async () => {
    const left = Promise.withResolvers<void>();
    handler = (_request, response) =>
      response
        .once("close", () => left.resolve())
        .writeHead(200)
        .flushHeaders();
    const leave = new AbortController();
    await fetch(url(), { signal: leave.signal });
    leave.abort();
    await left.promise;
  });

  it("that a broken answer belongs to is broken off as well", async () => {
    handler = (_request, response) => {
      response.writeHead(200, { "x-sandpiper-outcome": "ok" }).write("part", () => response.socket?.destroy());
    };
    await assert.rejects((await fetch(url())).text());
  });

  it("by a name that is not this machine's is refused", async () => {
    handler = (_request, response) => response.end("secret");
    const ask = async (host: string) => {
      const asking = request(url(), { headers: { host } }).end();
      const [answer] = (await once(asking, "response")) as [IncomingMessage];
      return [answer.statusCode, await text(answer)];
    };
    for (const host of ["evil.example", `evil.example:${front.port}`, "localhost.evil.example"]) {
      const [status, body] = await ask(host);
      assert.equal(status, 403);
      assert.doesNotMatch(String(body), /secret/);
    }
    for (const host of [`localhost:${front.port}`, "127.0.0.1", "[::1]:1", "a-dev.main.localhost"]) {
      assert.deepEqual(await ask(host), [200, "secret"]);
    }
  });

  it("waits for a reload that is under way", async () => {
    const reload = Promise.withResolvers<void>();
    handler = (_request, response) => response.end();
    state.reloading = reload.promise;
    const asked = fetch(url("/later"));
    const seen = once(gateway, "request");
    state = { ...state, upstream: upstreamOf(`${gatewayUrl}/fn/main/new`, gatewayUrl, front.port), reloading: null };
    reload.resolve();
    assert.equal((await seen)[0].url, "/fn/main/new/later");
    await asked;
  });

  it("hears that the gateway is away", async () => {
    state.upstream = { origin: "http://127.0.0.1:1", prefix: "", hostFor: () => "x" };
    const answer = await fetch(url());
    assert.equal(answer.status, 502);
    assert.partialDeepStrictEqual(await answer.json(), { error: { code: "GATEWAY_UNREACHABLE" } });
  });
});

describe("while the function cannot be served as it is", () => {
  it("a browser gets a page in which nothing of it is markup, and others the version before", async () => {
    handler = (_request, response) => response.end("before");
    state.failure = FAILURE;
    assert.equal(await (await fetch(url())).text(), "before");
    const answer = await fetch(url(), { headers: HTML });
    assert.equal(answer.status, 500);
    assert.match(answer.headers.get("content-security-policy") ?? "", /^default-src 'none'; /);
    const page = await answer.text();
    assert.ok(page.includes("<h1>The function does not build</h1>"));
    assert.ok(page.includes("index.ts:1:1: &lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;\\x1b[31m"));
    assert.equal(page.split("<script>").length, 2);
    // What is sent, not asked for, is no look at the page.
    assert.equal(await (await fetch(url(), { method: "POST", headers: HTML })).text(), "before");
  });

  it("and never was, all hear why", async () => {
    state = { ...state, failure: FAILURE, upstream: null };
    const answer = await fetch(url());
    assert.equal(answer.status, 503);
    assert.partialDeepStrictEqual(await answer.json(), { error: { code: "BUILD_FAILED", message: FAILURE.message } });
    assert.equal((await fetch(url(), { headers: HTML })).status, 503);
  });

  it("a page that is open hears of the next change", async () => {
    const listening = await fetch(url(CHANGES_PATH));
    const decoder = new TextDecoder();
    let heard = "";
    assert.ok(listening.body);
    for await (const chunk of listening.body) {
      heard += decoder.decode(chunk);
      if (heard.includes("event: change")) break;
      front.changed();
    }
  });
});

describe("a call that failed", () => {
  const id = "0b5c2c1e-8a0f-4c55-9d0c-3b8f6f2f9a10";
  const error = { code: "FUNCTION_ERROR", message: "The function threw <b>.", requestId: id };
  const line = { invocationId: id, timeMs: 1, level: "error", source: "console" } as const;
  beforeEach(() => {
    handler = (_request, response) => {
      response.writeHead(502, { "x-sandpiper-outcome": "function_error", "x-request-id": id });
      response.end(JSON.stringify({ error }));
    };
    stories.logged({ ...line, text: "Error: <i>on purpose</i>\n    at index.ts:1:2" });
  });

  it("is a page with its log for a browser, as soon as the log is whole", async () => {
    const asked = fetch(url("/x"), { headers: HTML });
    await once(gateway, "request");
    stories.ended({ id, outcome: "function_error" } as never);
    const answer = await asked;
    assert.deepEqual([answer.status, answer.headers.get("x-request-id")], [502, id]);
    const page = await answer.text();
    for (const part of ["The call failed: function_error", "threw &lt;b&gt;", "&lt;i&gt;on purpose", "GET /x"]) {
      assert.ok(page.includes(part), part);
    }
  });

  it("is the gateway's answer for others", async () => {
    const answer = await fetch(url(), { headers: { accept: "application/json" } });
    assert.deepEqual([answer.status, await answer.json()], [502, { error }]);
  });

  it("is the function's own page when that is what it answered", async () => {
    handler = (_request, response) => response.writeHead(500, { "x-sandpiper-outcome": "ok" }).end("mine");
    assert.equal(await (await fetch(url(), { headers: HTML })).text(), "mine");
  });

  it("is told when the gateway did not call the function", async () => {
    handler = (_request, response) =>
      response.writeHead(503).end(JSON.stringify({ error: { ...error, code: "NO_WORKER" } }));
    const page = await (await fetch(url("/y"), { headers: HTML })).text();
    assert.match(page, /The function was not called/);
    assert.match(page, /See that a worker is running/);
    assert.deepEqual(refused, [{ method: "GET", path: "/y", status: 503, reason: "the gateway answered" }]);
  });
});

describe("a port", () => {
  it("that is taken is refused when it was asked for", async () => {
    const options = { state: () => state, stories, onRefused: () => {} };
    await assert.rejects(Front.listen(front.port, options), { code: "PORT_TAKEN", hint: /--port 0/ });
  });

  it("is open to this machine alone", async () => {
    const socket = connect(front.port, "127.0.0.2");
    const [error] = await once(socket, "error");
    assert.equal(error.code, "ECONNREFUSED");
  });
});
