/** Events of API Gateway's format 1.0. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HeaderPairs } from "../../../../../sandbox-core/protocol/frames.ts";
import { makeEvent1 } from "../../../../../sandbox-core/runtime/handlers/lambda/lambda-event-1.ts";

const FACTS = { functionName: "hello", version: "1", memoryMiB: 128, env: {} };

function eventOf(path: string, headers: HeaderPairs = [], body = Buffer.alloc(0), traceparent: string | null = null) {
  const request = {
    type: "request" as const,
    call: 1,
    invocationId: "id-1",
    method: "PUT",
    url: `http://a.example${path}`,
    path,
    headers,
    remoteAddress: "192.0.2.1",
    traceparent,
    tracestate: null,
    bodyFollows: false,
    body,
  };
  return makeEvent1(request, body, FACTS) as Record<string, unknown> & { requestContext: Record<string, unknown> };
}

test("names and values come once by the last, and as lists by all", () => {
  const event = eventOf("/a%2Fb/c?x=1&y=%20&x=2&__proto__=z", [
    ["host", "a.example"],
    ["x-two", "1"],
    ["x-two", "2"],
    ["user-agent", "test"],
  ]);
  assert.partialDeepStrictEqual(event, {
    version: "1.0",
    resource: "/{proxy+}",
    path: "/a%2Fb/c",
    httpMethod: "PUT",
    headers: { host: "a.example", "x-two": "2" },
    multiValueHeaders: { host: ["a.example"], "x-two": ["1", "2"] },
    queryStringParameters: { x: "2", y: " ", ["__proto__"]: "z" },
    multiValueQueryStringParameters: { x: ["1", "2"], y: [" "] },
    pathParameters: { proxy: "a%2Fb/c" },
    stageVariables: null,
    body: null,
    isBase64Encoded: false,
  });
  assert.ok(Object.hasOwn(event.queryStringParameters as object, "__proto__"));
  assert.partialDeepStrictEqual(event.requestContext, {
    httpMethod: "PUT",
    path: "/a%2Fb/c",
    requestId: "id-1",
    resourcePath: "/{proxy+}",
    domainName: "a.example",
    identity: { sourceIp: "192.0.2.1", userAgent: "test" },
  });
});

test("what is not there is null, and the trace is the platform's", () => {
  const event = eventOf("/", [], Buffer.alloc(0), "00-a-b-01");
  assert.partialDeepStrictEqual(event, {
    resource: "/",
    queryStringParameters: null,
    multiValueQueryStringParameters: null,
    pathParameters: null,
    headers: { traceparent: "00-a-b-01" },
  });
});

test("a body is text or base64", () => {
  assert.partialDeepStrictEqual(eventOf("/", [["content-type", "application/json"]], Buffer.from("{}")), {
    body: "{}",
    isBase64Encoded: false,
  });
  assert.partialDeepStrictEqual(eventOf("/", [["content-type", "image/png"]], Buffer.from([255])), {
    body: "/w==",
    isBase64Encoded: true,
  });
});
