/** CloudEvents over HTTP, and what is none. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HeaderPairs } from "../../../../sandbox-core/protocol/frames.ts";
import { BadCloudEvent, cloudEventOf } from "../../../../sandbox-core/runtime/handlers/cloudevent.ts";
import { RuntimeClient } from "../../../helpers/runtime-client.ts";

const ATTRIBUTES: HeaderPairs = [
  ["ce-specversion", "1.0"],
  ["ce-id", "1"],
  ["ce-source", "/birds"],
  ["ce-type", "bird.seen"],
];
const KNOWN = { specversion: "1.0", id: "1", source: "/birds", type: "bird.seen" };

const NOT_UTF8 = Buffer.from(JSON.stringify({ ...KNOWN, subject: "\xff" }), "latin1");

function read(headers: HeaderPairs, body: string | Buffer = ""): Record<string, unknown> {
  return cloudEventOf(headers, Buffer.from(body));
}

function structured(event: unknown, type = "application/cloudevents+json"): Record<string, unknown> {
  return read([["content-type", type]], typeof event === "string" ? event : JSON.stringify(event));
}

describe("an event in binary mode", () => {
  it("has its attributes in header fields, percent-encoded where they must be", () => {
    const more: HeaderPairs = [
      ["ce-subject", "Euro%20%E2%82%AC"],
      ["ce-odd", "100%"],
      ["ce-quoted", '"a \\"b\\\\"'],
      ["ce-not-one", "a"],
      ["x-ce-id", "b"],
    ];
    assert.deepEqual(read([...ATTRIBUTES, ...more]), { ...KNOWN, subject: "Euro €", odd: "100%", quoted: 'a "b\\' });
  });

  it("has the data that its type says", () => {
    const bytes = Buffer.from([0xff, 0]);
    for (const [type, body, data] of [
      ["application/json; charset=utf-8", '{"a":1}', { a: 1 }],
      ["application/vnd.bird+json", "[1]", [1]],
      ["text/plain", "words", "words"],
      ["text/plain", bytes, bytes],
      ["image/png", bytes, bytes],
    ] as const) {
      const event = read([...ATTRIBUTES, ["content-type", type]], body as string);
      assert.deepEqual(event, { ...KNOWN, datacontenttype: type, data }, type);
    }
    assert.deepEqual(read([...ATTRIBUTES], bytes), { ...KNOWN, data: bytes });
  });
});

describe("an event in structured mode", () => {
  it("is the body, with data in JSON, text or base64", () => {
    assert.deepEqual(structured({ ...KNOWN, data: { a: 1 }, more: 1 }), { ...KNOWN, data: { a: 1 }, more: 1 });
    assert.deepEqual(structured({ ...KNOWN, data: null, more: null, data_base64: null }), { ...KNOWN, data: null });
    assert.deepEqual(structured(`\ufeff${JSON.stringify(KNOWN)}`), KNOWN);
    assert.deepEqual(structured({ ...KNOWN, data_base64: "AAE=" }), { ...KNOWN, data: Buffer.from([0, 1]) });
    assert.deepEqual(structured(KNOWN, "Application/CloudEvents+JSON; charset=UTF-8"), KNOWN);
  });

  it("may say that it is JSON and no more", () => {
    assert.deepEqual(structured(KNOWN, "application/json"), KNOWN);
  });
});

describe("what is no event", () => {
  it("is refused with what is wrong", () => {
    const lacking = ATTRIBUTES.filter(([name]) => name !== "ce-source");
    for (const [make, status, message] of [
      [() => read([]), 400, /neither the header fields ce-id.*nor the content type/],
      [() => read([["content-type", "application/json"]], "{}"), 400, /no CloudEvent/],
      [() => read(lacking), 400, /attribute source is missing/],
      [() => read([...lacking, ["ce-source", ""]]), 400, /attribute source is no text/],
      [() => structured({ ...KNOWN, id: 1 }), 400, /attribute id is no text/],
      [() => structured({ ...KNOWN, specversion: "2.0" }), 400, /another one than 1\.0/],
      [() => structured("{"), 400, /not the JSON/],
      [() => structured("[]"), 400, /no object/],
      [() => structured({ ...KNOWN, data_base64: 1 }), 400, /data_base64 is no text/],
      [() => structured({ ...KNOWN, data_base64: "A*B=" }), 400, /data_base64 is no text in base64/],
      [() => structured({ ...KNOWN, data: null, data_base64: "AAE=" }), 400, /both data and data_base64/],
      [() => structured({ ...KNOWN, id: null }), 400, /attribute id is missing/],
      [() => structured({ ...KNOWN, subject: "a\u0000b" }), 400, /attribute 'subject' has a control character/],
      [() => read([["content-type", "application/cloudevents+json"]], NOT_UTF8), 400, /not the JSON in UTF-8/],
      [() => read([...lacking, ["ce-source", "/a%0d%0aX:%20y"]]), 400, /attribute 'source' has a control character/],
      [() => read([...ATTRIBUTES, ["ce-id", "2"]]), 400, /attribute id twice/],
      [() => read([...ATTRIBUTES, ["ce-data", "a"]]), 400, /ce-data no attribute/],
      [() => read([...ATTRIBUTES, ["content-type", "application/json"]], "{"), 400, /data is not the JSON/],
      [() => structured([KNOWN], "application/cloudevents-batch+json"), 415, /send one event/],
    ] as const) {
      assert.throws(make, (error) => {
        assert.ok(error instanceof BadCloudEvent);
        assert.equal(error.status, status);
        assert.match(error.message, message);
        return true;
      });
    }
  });
});

describe("a handler of CloudEvents", () => {
  it("answers with its result, with nothing, by a callback, or not at all", async () => {
    const code = `export default (event, callback) => {
      if (event.type === "calls") return void setImmediate(() => callback(null, "called " + event.traceparent));
      if (event.type === "fails") return void callback(new RangeError("no"));
      if (event.type === "nothing") return Promise.resolve();
      return Promise.resolve({ statusCode: 202, body: event.data });
    };`;
    await using runtime = await RuntimeClient.with(code, { kind: "cloudevent" });
    const call = (type: string, isEvent = false) =>
      runtime.call({
        method: "POST",
        ...(isEvent
          ? { isEvent, body: JSON.stringify({ ...KNOWN, type, data: "d" }) }
          : { headers: [...ATTRIBUTES.slice(0, 3), ["ce-type", type], ["content-type", "text/plain"]], body: "d" }),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      });
    for (const isEvent of [false, true]) {
      const returned = await call("returns", isEvent);
      const result = isEvent ? [200, '{"statusCode":202,"body":"d"}'] : [202, "d"];
      assert.deepEqual([returned.head?.status, returned.body.toString()], result);
      const nothing = await call("nothing", isEvent);
      assert.deepEqual([nothing.head?.status, nothing.body.toString()], isEvent ? [200, "null"] : [204, ""]);
      assert.match((await call("calls", isEvent)).body.toString(), /^"?called 00-0af76519/);
      assert.equal((await call("fails", isEvent)).failed?.message, "no");
    }
    const { head, body } = await runtime.call({ method: "POST", isEvent: true, body: "{}" });
    const { error } = JSON.parse(body.toString());
    assert.deepEqual(
      [head?.status, error.code, error.message],
      [400, "EVENT_REFUSED", "The event's attribute specversion is missing."],
    );
  });
});
