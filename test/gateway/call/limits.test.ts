import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, beforeEach, describe, it } from "node:test";
import { type Ending, Exchange } from "../../../gateway/call/exchange.ts";
import { Budget } from "../../../gateway/http/budget.ts";
import { readBody } from "../../../gateway/http/request-body.ts";
import { head, RawClient, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { stretched } from "../../helpers/slowness.ts";

let test: TestGateway;
before(async () => {
  test = await startTestGateway({
    queueWaitMs: stretched(100),
    maxHeaderBytes: 2_048,
    publicUrl: "https://fn.example",
  });
});
after(() => test.stop());

it("has whoever holds most of a budget let go of it for the others", () => {
  const budget = new Budget(10);
  const cut: string[] = [];
  const [slow, slower, small] = ["slow", "slower", "small"].map((name) => ({ letGo: () => void cut.push(name) }));
  assert.ok(slow && slower && small);
  assert.ok(budget.hold(slow, 4) && budget.hold(slower, 5) && budget.hold(small, 1));
  assert.ok(budget.hold(small, 2));
  assert.deepEqual([cut, budget.takenBytes], [["slower"], 6]);
  assert.ok(!budget.hold(slow, 11), "nobody holds more");
  assert.ok(budget.hold(small, 1) && budget.hold(slow, 9));
  assert.deepEqual([cut, budget.takenBytes], [["slower"], 10]);
  assert.ok(budget.hold(slow, 0) && budget.hold(small, 0));
  assert.equal(budget.takenBytes, 0);
});

it("shows functions the public URL, whatever host was asked", async () => {
  const seen = Promise.withResolvers<string>();
  test.answer = ({ request }) => {
    seen.resolve(request.url);
    return {};
  };
  await (await fetch(`${test.url}/fn/main/hello/x`)).text();
  assert.equal(await seen.promise, "https://fn.example/x");
  const { url } = (await (await test.api("/v1/functions/hello")).json()) as { url: string };
  assert.equal(url, "https://fn.example/fn/main/hello");
});

it("refuses header fields beyond the limit", async () => {
  const client = new RawClient(test.url);
  client.send(`GET /fn/main/hello HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(2_048)}\r\n\r\n`);
  assert.match(await client.until(/\}\}$/), /^HTTP\/1.1 431 [\s\S]*HEADERS_TOO_LARGE/);
  client.close();
});

it("answers by itself when no worker ever does", async () => {
  await test.deploy("hello", { timeoutMs: 1 });
  test.answer = () => undefined;
  const response = await fetch(`${test.url}/fn/main/hello`);
  const { error } = (await response.json()) as { error: { code: string } };
  assert.deepEqual([response.status, error.code], [504, "NO_ANSWER"]);
});

it("has a slow upload make way for a smaller one", async () => {
  const budget = new Budget(1024 * 1024);
  const ended: string[] = [];
  const server = createServer((request, response) => {
    const body = readBody(request, response, { maxBytes: 1024 * 1024, budget });
    void body
      .then(
        (bytes) => `${bytes?.length}`,
        (error: Error & { code?: string }) => `${error.code}`,
      )
      .then((end) => {
        ended.push(end);
        response.end();
        server.emit("ended");
      });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const slow = new RawClient(url);
  slow.send(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n${"x".repeat(900_000)}`);
  while (budget.takenBytes < 900_000) await new Promise((resolve) => setImmediate(resolve));
  const gone = once(slow.socket, "close");
  await fetch(url, { method: "POST", body: Buffer.alloc(500_000) });
  await gone;
  while (ended.length < 2) await once(server, "ended");
  assert.deepEqual([ended.sort(), budget.takenBytes], [["500000", "CLIENT_GONE"], 0]);
  server.close();
});

describe("clients that do not read", () => {
  const LIMIT = 1024 * 1024;
  const budget = new Budget(LIMIT);
  const ended: Ending[] = [];
  const server: Server = createServer((request, response) => {
    const onEnd = (ending: Ending) => {
      ended.push(ending);
      server.emit("ended");
    };
    const site = { kind: "shared", origin: "http://a", path: "/fn/main/hello", seesPath: false } as const;
    server.emit(
      "exchange",
      new Exchange({ id: "1", deadlineMs: 0, request, response, site, version: "", budget, onLeft: () => {}, onEnd }),
    );
  });
  before(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  after(() => server.close());
  beforeEach(() => ended.splice(0));

  /** A stream to a client that reads nothing of it. */
  async function stream() {
    const client = new RawClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    client.socket.pause();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    const [exchange] = (await once(server, "exchange")) as [Exchange];
    exchange.onReply(head("1", { streaming: true }));
    return { client, exchange };
  }

  /**
   * Sends until that holds. The kernel's own buffers take some megabytes before anything has to be
   * held here.
   */
  async function fill(exchange: Exchange, isFull: () => boolean): Promise<void> {
    for (let chunks = 0; !isFull(); chunks++) {
      exchange.onReply({ kind: "chunk", id: "1", body: Buffer.alloc(64 * 1024) });
      assert.ok(budget.takenBytes <= LIMIT);
      assert.ok(chunks < 1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it("are cut off before they hold too much of what they were sent", async () => {
    const { client, exchange } = await stream();
    const closed = once(client.socket, "close");
    await fill(exchange, () => ended.length > 0);
    exchange.onReply({ kind: "chunk", id: "1", body: Buffer.alloc(1) });
    client.socket.resume();
    await closed;
    assert.deepEqual(
      ended.map(({ error }) => error?.code),
      ["OVERLOADED"],
    );
    assert.equal(budget.takenBytes, 0);
  });

  it("make way for others, also when their answers had ended", async () => {
    const slow = await stream();
    await fill(slow.exchange, () => budget.takenBytes > 0.8 * LIMIT);
    slow.exchange.onReply({ kind: "end", id: "1", outcome: "ok" });
    const closed = once(slow.client.socket, "close");
    const other = await stream();
    const before = budget.takenBytes;
    await fill(other.exchange, () => budget.takenBytes < before);
    assert.ok(budget.takenBytes > 0);
    slow.client.socket.resume();
    await closed;
    assert.deepEqual(
      ended.map(({ error, outcome }) => [outcome, error]),
      [["ok", null]],
    );
    other.client.close();
    await once(server, "ended");
  });
});
