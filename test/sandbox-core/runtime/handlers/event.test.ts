/** Events that come to a function itself, and not as requests. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RuntimeClient } from "../../../helpers/runtime-client.ts";

const event = (body: string | Uint8Array) => ({ isEvent: true, method: "POST", body });

test("a Lambda handler gets the body as its event and answers in JSON, whatever it returns", async () => {
  const code = `export const handler = (event, context, callback) => {
    if (event.does === "throws") throw new RangeError("no");
    if (event.does === "calls") return void callback(null, "called");
    return Promise.resolve(event.does === "nothing" ? undefined : event.result ?? [typeof event, event]);
  };`;
  await using runtime = await RuntimeClient.with(code);
  for (const [body, answer] of [
    ["", '["object",{}]'],
    ["7", '["number",7]'],
    ['{"result":{"statusCode":404,"body":"as it is"}}', '{"statusCode":404,"body":"as it is"}'],
    ['{"does":"nothing"}', "null"],
    ['{"does":"calls"}', '"called"'],
  ] as const) {
    const { head, body: text } = await runtime.call(event(body));
    assert.deepEqual([head?.status, text.toString()], [200, answer], body);
    assert.deepEqual(head?.headers, [["content-type", "application/json"]]);
  }
  assert.equal((await runtime.call(event('{"does":"throws"}'))).failed?.name, "RangeError");
  assert.equal(await runtime.text(event("\ufeff7")), '["number",7]');
  for (const [body, message] of [
    ["{", /^The event is not JSON: /],
    [Buffer.from([0x22, 0xff, 0x22]), /^The event is not JSON: The bytes are not UTF-8\.$/],
  ] as const) {
    const { head, body: refusal } = await runtime.call(event(body));
    const { error } = JSON.parse(refusal.toString());
    assert.deepEqual([head?.status, error.code], [400, "EVENT_REFUSED"]);
    assert.match(error.message, message);
  }
  // A request that only looks like one is a request.
  assert.equal(
    JSON.parse(await runtime.text({ method: "POST", body: "7", headers: [["is-event", "true"]] }))[0],
    "object",
  );
});

test("a Lambda handler that streams writes its answer to an event", async () => {
  await using runtime = await RuntimeClient.with(
    "export const handler = awslambda.streamifyResponse(async (event, stream) => { stream.write(event.a); stream.end(); })",
  );
  assert.equal(await runtime.text(event('{"a":"b"}')), "b");
});

test("a function of requests takes no events, and is not called for one", async () => {
  await using runtime = await RuntimeClient.with("export default { fetch() { throw new Error('called') } }");
  const { head, body } = await runtime.call(event("{}"));
  assert.equal(head?.status, 400);
  const { error } = JSON.parse(body.toString());
  assert.deepEqual(
    [error.code, error.message],
    ["EVENT_REFUSED", "The function takes no events: its handler is fetch."],
  );
  assert.match(error.requestId, /\S/);
});
