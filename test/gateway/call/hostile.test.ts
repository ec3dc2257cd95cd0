/**
 * Whatever a client sends or a function replies, the gateway stays up and the connection stays in
 * step.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { after, before, it } from "node:test";
import fc from "fast-check";
import { type Head, head, RawClient, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

let test: TestGateway;
before(async () => {
  test = await startTestGateway();
});
after(async () => {
  await test.stop();
  assert.deepEqual(test.logged, []);
});

/** Sends a request over an agent's only connection. */
async function ask(agent: Agent, method: string): Promise<{ status: number; body: string }> {
  const { hostname, port } = new URL(test.url);
  const sent = request({ agent, method, hostname, port, path: "/fn/main/hello" });
  sent.end();
  const [response] = await once(sent, "response");
  let body = "";
  for await (const chunk of response.setEncoding("latin1")) body += chunk;
  return { status: response.statusCode, body };
}

const NAMES = [
  "content-length",
  "transfer-encoding",
  "connection",
  "date",
  "trailer",
  "set-cookie",
  "expect",
  "__proto__",
];
const VALUES = ["0", "5", "-1", "1e3", "chunked", "close", "keep-alive", "upgrade", "a\r\nb: c", "\0", "\u2603", ""];
const text = fc.oneof(fc.string({ maxLength: 20 }), fc.string({ unit: "binary", maxLength: 20 }));
const replies = fc.record({
  status: fc.oneof(fc.constantFrom(200, 204, 205, 206, 304, 416, 500, 100, 101, 0, -1, 1e9, 0.5), fc.integer()),
  headers: fc.array(fc.tuple(fc.oneof(fc.constantFrom(...NAMES), text), fc.oneof(fc.constantFrom(...VALUES), text)), {
    maxLength: 6,
  }),
  body: fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    fc.constant(Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged")),
  ),
  streaming: fc.boolean(),
});

it("stays in step after any reply", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const methods = fc.constantFrom("GET", "HEAD", "POST", "OPTIONS");
  await fc.assert(
    fc.asyncProperty(methods, replies, async (method, parts) => {
      test.answer = ({ id }, send) => {
        send(head(id, parts as Partial<Head>));
        if (!parts.streaming) return undefined;
        send({ kind: "chunk", id, body: parts.body });
        send({ kind: "end", id, outcome: "ok" });
        return undefined;
      };
      const { status } = await ask(agent, method);
      assert.ok(status === parts.status || status === 502);
      test.answer = () => ({ body: Buffer.from("in step") });
      assert.deepEqual(await ask(agent, "GET"), { status: 200, body: "in step" });
    }),
    { numRuns: 300 },
  );
  agent.destroy();
});

const PIECES = [
  "GET /fn/main/hello HTTP/1.1\r\n",
  "POST /v1/functions/hello HTTP/1.1\r\n",
  "PUT /v1/functions/hello HTTP/1.0\r\n",
  "OPTIONS * HTTP/1.1\r\n",
  "CONNECT a:1 HTTP/1.1\r\n",
  "GET http://a/fn/main/hello HTTP/1.1\r\n",
  "GET //[ HTTP/1.1\r\n",
  "host: a\r\n",
  "host: [::1]:80\r\n",
  "host: \r\n",
  "content-length: 5\r\n",
  "content-length: 99999999999999999999\r\n",
  "transfer-encoding: chunked\r\n",
  "expect: 100-continue\r\n",
  "expect: magic\r\n",
  "connection: upgrade\r\nupgrade: websocket\r\n",
  "connection: close, host\r\n",
  "\r\n",
  "5\r\nhello\r\n0\r\n\r\n",
  "ffffffffffffffff\r\n",
  "hello",
];

it("stays up after anything that a client sends", async () => {
  test.answer = () => ({ body: Buffer.from("hello") });
  const bytes = fc.string({ unit: "binary", maxLength: 10 });
  const pieces = fc.array(fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...PIECES) }, bytes), { maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(pieces, async (sent) => {
      const client = new RawClient(test.url);
      client.send(sent.join(""));
      client.socket.end();
      await client.ended();
      assert.equal((await fetch(`${test.url}/healthz`)).status, 200);
    }),
    { numRuns: 300 },
  );
});
