/** What the rules of HTTP (RFC 9110, RFC 9112) ask of a server, whoever answers behind it. */
import assert from "node:assert/strict";
import { after, before, beforeEach, it } from "node:test";
import { ERRORS } from "../../../functions/model/error-table.ts";
import type { ErrorCode } from "../../../functions/model/errors.ts";
import { type Invocation, REQUEST_LIMITS } from "../../../functions/model/invocation.ts";
import * as frames from "../../../sandbox-core/protocol/frames.ts";
import { RawClient, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

let test: TestGateway;
let called: Invocation[];
before(async () => {
  test = await startTestGateway({ maxHeaderBytes: 256 * 1024, gatewayHosts: ["b.example"] });
});
after(async () => {
  await test.stop();
  assert.deepEqual(test.logged, []);
});
beforeEach(() => {
  called = [];
  test.answer = (invocation) => {
    called.push(invocation);
    return { body: Buffer.from("hello") };
  };
});

const FUNCTION = "/fn/main/hello";

/** What a connection of its own says to some bytes, until a whole answer was there. */
async function say(text: string): Promise<string> {
  const client = new RawClient(test.url);
  client.send(text);
  const answer = await client.until(/\r\n\r\n(hello|\{.*\}\}|\{.*\}$|$)/);
  client.close();
  return answer;
}

function assertError(answer: string, code: ErrorCode): void {
  assert.match(answer, new RegExp(`^HTTP/1.1 ${ERRORS[code].status} `));
  const { error } = JSON.parse(answer.split("\r\n\r\n")[1] ?? "") as { error: { code: string; requestId: string } };
  assert.equal(error.code, code);
  assert.match(answer, new RegExp(`x-request-id: ${error.requestId}`));
}

const fields = (count: number, value = "y") => Array.from({ length: count }, (_, i) => `x-${i}: ${value}\r\n`).join("");

for (const [what, request, code] of [
  ["two hosts", `GET ${FUNCTION} HTTP/1.1\r\nhost: a\r\nhost: a\r\n`, "INVALID_REQUEST"],
  ["two hosts in HTTP/1.0", `GET ${FUNCTION} HTTP/1.0\r\nHost: a\r\nhOST: b\r\n`, "INVALID_REQUEST"],
  ["no host in HTTP/1.1, whatever the target", `GET http://a${FUNCTION} HTTP/1.1\r\n`, "INVALID_REQUEST"],
  ["a target whose host is none", `GET http://1.2.3.4.5${FUNCTION} HTTP/1.1\r\nhost: a\r\n`, "INVALID_REQUEST"],
  ["a target with a user", `GET http://me@a${FUNCTION} HTTP/1.1\r\nhost: a\r\n`, "INVALID_REQUEST"],
  [
    "a coding besides chunks",
    `POST ${FUNCTION} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n`,
    "INVALID_REQUEST",
  ],
  ["an unknown expectation", `GET ${FUNCTION} HTTP/1.1\r\nhost: a\r\nexpect: magic\r\n`, "EXPECTATION_FAILED"],
  ["TRACE of a function", `TRACE ${FUNCTION} HTTP/1.1\r\nhost: a\r\n`, "METHOD_NOT_ALLOWED"],
  ["TRACE of all else", "TRACE /v1/functions HTTP/1.1\r\nhost: a\r\n", "METHOD_NOT_ALLOWED"],
  ["CONNECT", "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n", "METHOD_NOT_ALLOWED"],
  ["a target that is no path", "OPTIONS * HTTP/1.1\r\nhost: a\r\n", "ROUTE_NOT_FOUND"],
  ["more fields than a sandbox takes", `GET ${FUNCTION} HTTP/1.1\r\nhost: a\r\n${fields(124)}`, "HEADERS_TOO_LARGE"],
  ["longer ones", `GET ${FUNCTION} HTTP/1.1\r\nhost: a\r\n${fields(1, "y".repeat(16_385))}`, "HEADERS_TOO_LARGE"],
  ["more of them", `GET ${FUNCTION} HTTP/1.1\r\nhost: a\r\n${fields(5, "y".repeat(15_000))}`, "HEADERS_TOO_LARGE"],
  ["a longer name", `GET ${FUNCTION} HTTP/1.1\r\nhost: a\r\n${"x".repeat(257)}: y\r\n`, "HEADERS_TOO_LARGE"],
  ["a longer URL", `GET ${FUNCTION}/${"u".repeat(33_000)} HTTP/1.1\r\nhost: a\r\n`, "URL_TOO_LONG"],
] as const) {
  it(`refuses ${what}, and runs nothing`, async () => {
    const answer = await say(`${request}\r\n`);
    assertError(answer, code);
    assert.equal(/\r\nallow: GET, HEAD, /.test(answer), code === "METHOD_NOT_ALLOWED");
    assert.deepEqual(called, []);
  });
}

it("calls with all that a sandbox takes, and a sandbox takes as much", async () => {
  const long = `x-long: ${"y".repeat(16_384)}\r\n`;
  assert.match(await say(`GET ${FUNCTION} HTTP/1.1\r\nhost: a\r\n${fields(122)}${long}\r\n`), /^HTTP\/1.1 200 /);
  assert.equal(called[0]?.request.headers.length, 128);
  assert.deepEqual(REQUEST_LIMITS, {
    headers: frames.MAX_HEADERS,
    headerNameLength: frames.MAX_HEADER_NAME_LENGTH,
    headerValueLength: frames.MAX_HEADER_VALUE_LENGTH,
    headersLength: frames.MAX_HEADERS_LENGTH,
    urlLength: frames.MAX_URL_LENGTH,
  });
});

it("goes on with the connection after a request that it refuses", async () => {
  const client = new RawClient(test.url);
  for (const request of ["TRACE / HTTP/1.1\r\nhost: a", "OPTIONS * HTTP/1.1\r\nhost: a", "GET / HTTP/1.1"]) {
    client.send(`${request}\r\n\r\n`);
    await client.until(/\}\}$/);
    client.received = "";
  }
  client.send(`GET ${FUNCTION} HTTP/1.1\r\nhost: a\r\n\r\n`);
  assert.match(await client.until(/hello$/), /^HTTP\/1.1 200 /);
  client.close();
});

it("ignores an expectation in HTTP/1.0", async () => {
  const post = `POST ${FUNCTION} HTTP/1.0\r\nhost: a\r\ncontent-length: 3\r\n`;
  for (const expected of ["100-continue", "magic"]) {
    assert.match(await say(`${post}expect: ${expected}\r\n\r\nabc`), /^HTTP\/1.1 200 /);
  }
  assert.equal(called.length, 2);
});

it("takes the host from the target where it is there, for functions and for the control API", async () => {
  await say(`GET http://b.example:81${FUNCTION}/x HTTP/1.1\r\nhost: a\r\n\r\n`);
  await say(`GET http://b.example${FUNCTION} HTTP/1.0\r\n\r\n`);
  assert.deepEqual(
    called.map(({ request: { url, headers } }) => [url, ...headers.filter(([name]) => name === "host")]),
    [
      ["http://b.example:81/x", ["host", "b.example:81"]],
      ["http://b.example/", ["host", "b.example"]],
    ],
  );
  const whoami = `GET http://b.example/v1/whoami HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${test.key}\r\n\r\n`;
  assert.match(await say(whoami), /"publicUrl":"http:\/\/b.example"/);
});

it("answers a whole request, and then says what is wrong with what follows", async () => {
  const client = new RawClient(test.url);
  client.send(`POST ${FUNCTION} HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabcnonsense\r\n\r\n`);
  const answers = (await client.ended()).split(/(?=HTTP\/1.1 )/);
  assert.equal(answers.length, 2);
  assert.match(answers[0] ?? "", /^HTTP\/1.1 200 [\s\S]*hello$/);
  assertError(answers[1] ?? "", "MALFORMED_REQUEST");
  assert.equal(called.length, 1);
});

it("announces for HEAD what GET has, in its own answers too", async () => {
  for (const path of ["/healthz", "/nothing", "/fn/main/nothing"]) {
    const lengths = ["GET", "HEAD"].map(async (method) => {
      const response = await fetch(test.url + path, { method });
      return [response.status, response.headers.get("content-length")];
    });
    const [get, head] = await Promise.all(lengths);
    if (head?.[1] !== null) assert.deepEqual(head, get, path);
  }
});
