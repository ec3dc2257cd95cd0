import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, it } from "node:test";
import { Budget } from "../../gateway/budget.ts";
import { type Ending, Exchange } from "../../gateway/exchange.ts";
import { head, RawClient, startTestGateway, type TestGateway } from "../helpers/gateway.ts";

let test: TestGateway;
before(async () => {
  test = await startTestGateway({ queueWaitMs: 100, maxHeaderBytes: 2_048, publicUrl: "https://fn.example" });
});
after(() => test.stop());

it("takes a budget all or not at all", () => {
  const budget = new Budget(10);
  assert.ok(budget.take(7));
  assert.ok(!budget.take(4));
  assert.ok(budget.take(3));
  budget.give(10);
  assert.ok(budget.take(10));
});

it("shows functions the public URL, whatever host was asked", async () => {
  const seen = Promise.withResolvers<string>();
  test.answer = ({ request }) => {
    seen.resolve(request.url);
    return {};
  };
  await (await fetch(`${test.url}/fn/main/hello/x`)).text();
  assert.equal(await seen.promise, "https://fn.example/fn/main/hello/x");
  const { url } = (await (await test.api("/v1/functions/hello")).json()) as { url: string };
  assert.equal(url, "https://fn.example/fn/main/hello");
});

it("refuses header fields beyond the limit", async () => {
  const client = new RawClient(test.url);
  client.send(`GET /fn/main/hello HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(2_048)}\r\n\r\n`);
  assert.match(await client.until(/\}\}$/), /^HTTP\/1.1 431 [\s\S]*HEADERS_TOO_LARGE/);
  client.close();
});

it("answers by itself when no worker ever does", { timeout: 15_000 }, async () => {
  await test.deploy("hello", { timeoutMs: 1 });
  test.answer = () => undefined;
  const response = await fetch(`${test.url}/fn/main/hello`);
  const { error } = (await response.json()) as { error: { code: string } };
  assert.deepEqual([response.status, error.code], [504, "NO_ANSWER"]);
});

it("cuts off who does not read, before it holds too much of what it was sent", async () => {
  const budget = new Budget(1024 * 1024);
  const exchanges: Exchange[] = [];
  const ended: Ending[] = [];
  const server: Server = createServer((request, response) => {
    const options = {
      id: "1",
      deadlineMs: 0,
      request,
      response,
      budget,
      onEnd: (ending: Ending) => ended.push(ending),
    };
    exchanges.push(new Exchange(options));
    server.emit("exchange");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = new RawClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client.socket.pause();
  client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await once(server, "exchange");
  const [exchange] = exchanges;
  exchange?.onReply(head("1", { streaming: true }));
  const body = Buffer.alloc(64 * 1024);
  const closed = once(client.socket, "close");
  // The kernel's own buffers take some megabytes before anything has to be held here.
  for (let chunks = 0; ended.length === 0; chunks++) {
    exchange?.onReply({ kind: "chunk", id: "1", body });
    assert.ok(budget.takenBytes <= 1024 * 1024);
    assert.ok(chunks < 1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  exchange?.onReply({ kind: "chunk", id: "1", body });
  client.socket.resume();
  await closed;
  assert.deepEqual(
    ended.map(({ error }) => error?.code),
    ["OVERLOADED"],
  );
  assert.equal(budget.takenBytes, 0);
  server.close();
});
