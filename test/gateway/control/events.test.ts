/** Events for functions: who may send them, what reaches a function, and how a failure is told. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Invocation } from "../../../functions/model/invocation.ts";
import { startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

const PATH = "/v1/functions/hello/events";

let test: TestGateway;
before(async () => {
  test = await startTestGateway({ maxBodyBytes: 300_000 });
});
after(() => test.stop());

/** The next call that the worker's side sees, with its body. */
function nextCall(): Promise<Invocation & { text: string }> {
  return new Promise((resolve) => {
    test.answer = async (invocation) => {
      const bytes = await test.bodyOf(invocation);
      resolve({ ...invocation, text: String(bytes ?? "") });
      return { headers: [["content-type", "application/json"]], body: Buffer.from('"result"') };
    };
  });
}

describe("an event", () => {
  it("reaches its function as it was sent, with nothing of the request that brought it", async () => {
    for (const body of ['{"Records": []}', JSON.stringify("long".repeat(50_000))]) {
      const seen = nextCall();
      const response = await test.api(PATH, { method: "POST", body, headers: { "x-own": "a" } });
      const { isEvent, request, text, ...call } = await seen;
      assert.deepEqual([response.status, await response.text()], [200, '"result"']);
      assert.equal(response.headers.get("x-request-id"), call.id);
      assert.equal(response.headers.get("x-sandpiper-outcome"), "ok");
      assert.deepEqual([isEvent, call.tenant, call.functionName, text], [true, "main", "hello", body]);
      assert.deepEqual([request.method, request.path, request.headers], ["POST", "/", []]);
      assert.ok(!JSON.stringify({ request, ...call }).includes(test.key));
    }
  });

  it("is never made of a request to a function's URL, whatever it says", async () => {
    const seen = nextCall();
    const headers = { authorization: `Bearer ${test.key}`, "x-sandpiper-event": "true", "is-event": "1" };
    await fetch(`${test.url}/fn/main/hello/v1/functions/hello/events?isEvent=true`, {
      method: "POST",
      headers,
      body: '{"isEvent":true}',
    });
    const { isEvent, request } = await seen;
    assert.equal(isEvent, undefined);
    assert.ok(request.headers.some(([name]) => name === "authorization"));
  });

  it("needs the tenant's key, and a function of that tenant", async () => {
    test.answer = () => assert.fail("a refused event came to a worker");
    for (const [path, authorization, code] of [
      [PATH, "", "UNAUTHENTICATED"],
      [PATH, `Bearer ${test.key}x`, "UNAUTHENTICATED"],
      ["/v1/functions/other/events", `Bearer ${test.key}`, "FUNCTION_NOT_FOUND"],
      ["/v1/functions/No_Name/events", `Bearer ${test.key}`, "INVALID_NAME"],
    ] as const) {
      const response = await fetch(test.url + path, { method: "POST", headers: { authorization }, body: "{}" });
      assert.equal(((await response.json()) as { error: { code: string } }).error.code, code, path);
    }
    assert.equal((await test.api(PATH)).status, 405);
  });

  it("has the size of a request at most", async () => {
    const response = await test.api(PATH, { method: "POST", body: Buffer.alloc(300_001, "1") });
    assert.equal(response.status, 413);
  });
});

describe("a function that fails", () => {
  const error = { code: "FUNCTION_ERROR", message: "The function failed." };
  const thrown = { errorType: "RangeError", errorMessage: "no", trace: ["RangeError: no", "    at index.ts:1:2"] };

  it("tells the sender of its event what it threw", async () => {
    test.answer = () => ({ outcome: "function_error", status: 502, error, thrown });
    const response = await test.api(PATH, { method: "POST", body: "{}" });
    assert.equal(response.status, 502);
    assert.equal(response.headers.get("x-sandpiper-outcome"), "function_error");
    const requestId = response.headers.get("x-request-id");
    assert.deepEqual(await response.json(), { error: { ...error, requestId }, ...thrown });
  });

  it("tells of other ends what anybody is told", async () => {
    test.answer = () => ({ outcome: "timeout", status: 504, error: { code: "TIMEOUT", message: "Too long." } });
    const response = await test.api(PATH, { method: "POST", body: "{}" });
    assert.deepEqual([response.status, Object.keys((await response.json()) as object)], [504, ["error"]]);
  });
});
