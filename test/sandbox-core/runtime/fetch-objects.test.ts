/**
 * The Request and the Response of functions, beside Node's own: the same code must give the same
 * with both.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { requestOf } from "../../../sandbox-core/runtime/fetch/request.ts";
import { FacadeResponse, takePlainParts } from "../../../sandbox-core/runtime/fetch/response.ts";

const CHILD = fileURLToPath(new URL("fetch-child.ts", import.meta.url));

/** What each case gave in a process of this kind. */
async function outcomes(kind: "node" | "sandbox"): Promise<Map<string, string>> {
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, kind], { maxBuffer: 16 * 1024 * 1024 });
  return new Map(
    stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as [string, string]),
  );
}

const [inNode, inSandbox] = await Promise.all([outcomes("node"), outcomes("sandbox")]);

test("there are cases, and few of them are refused by Node", () => {
  const refused = [...inNode.values()].filter((outcome) => outcome.startsWith("throws"));
  assert.ok(inNode.size > 80 && refused.length < 20, `${inNode.size} cases, ${refused.length} refused`);
});

for (const [name, outcome] of inNode) {
  test(name, () => assert.equal(inSandbox.get(name), outcome));
}

test("a Response of plain parts gives them as they are", () => {
  const url = "http://localhost:8080/fn/main/hello/a%20b";
  const headers: [string, string][] = [
    ["accept", "a"],
    ["accept", "b"],
  ];
  const { signal } = new AbortController();
  const get = requestOf({ method: "GET", url, headers, signal: () => signal, body: null });
  const text = `${get.method} ${new URL(get.url).pathname} ${get.headers.get("accept")}`;
  assert.deepEqual(takePlainParts(new FacadeResponse(text, { status: 201 })), {
    status: 201,
    statusText: "",
    headers: [["content-type", "text/plain;charset=UTF-8"]],
    body: Buffer.from("GET /fn/main/hello/a%20b a, b"),
  });
});

test("a long body is Node's to read in parts", async () => {
  const long = "x".repeat(2 * 1024 * 1024);
  for (const response of [new FacadeResponse(long), new FacadeResponse(Buffer.from(long)), FacadeResponse.json(long)]) {
    assert.equal(takePlainParts(response), null);
    assert.ok((await response.text()).includes(long));
  }
});

test("a long JSON is made once, and has the type of JSON unless it is given another", async () => {
  let made = 0;
  const data = {
    toJSON() {
      made += 1;
      return "x".repeat(2 * 1024 * 1024);
    },
  };
  const types = [undefined, { status: 201, headers: { a: "b" } }, { headers: { "Content-Type": "c/d" } }].map(
    (init) => {
      const { headers, status } = FacadeResponse.json(data, init);
      return [headers.get("content-type"), headers.get("a"), status];
    },
  );
  assert.deepEqual(types, [
    ["application/json", null, 200],
    ["application/json", "b", 201],
    ["c/d", null, 200],
  ]);
  assert.equal(made, types.length);
});

test("the parts of a Response are taken once, and not those of one that was looked into", async () => {
  const response = new FacadeResponse("a");
  assert.equal(takePlainParts(response)?.body?.toString(), "a");
  assert.equal(takePlainParts(response), null);
  assert.equal(response.bodyUsed, true);
  await assert.rejects(response.text(), TypeError);
  const read = new FacadeResponse("a");
  assert.equal(read.body?.locked, false);
  assert.equal(takePlainParts(read), null);
  for (const other of [Object.create(FacadeResponse.prototype), new (class extends FacadeResponse {})("a"), {}]) {
    assert.equal(takePlainParts(other), null);
  }
});
