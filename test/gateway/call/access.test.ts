/** Functions that take calls with a key alone. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { Scope } from "../../../functions/model/scopes.ts";
import { addKey, revokeKey } from "../../../functions/store/api-keys.ts";
import { createKey } from "../../../functions/store/tenant.ts";
import { startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { runCommand } from "../../helpers/in-process-cli.ts";

let test: TestGateway;
/** Header fields that the function got, of each call. */
let seen: Record<string, string>[] = [];
before(async () => {
  test = await startTestGateway();
  test.answer = ({ request }) => {
    seen.push(Object.fromEntries(request.headers));
    return { body: Buffer.from("hello") };
  };
  assert.ok((await test.deploy("guarded", { access: "key" })).ok);
});
after(() => test.stop());

const keyOf = async (scopes: Scope[], functions: string[] | null = null) =>
  addKey(test.connection, "main", { scopes, functions });
async function call(key: string | null, name = "guarded", fields: Record<string, string> = {}) {
  const authorization = key === null ? {} : { authorization: `Bearer ${key}` };
  const response = await fetch(`${test.url}/fn/main/${name}/`, {
    method: "POST",
    body: "x",
    headers: { ...authorization, ...fields },
  });
  return { response, code: response.ok ? "ok" : ((await response.json()) as { error: { code: string } }).error.code };
}

it("are called with a key of the tenant and the scope, and by nobody else", async () => {
  const other = await createKey(test.connection, "other");
  const reader = await keyOf(["read", "deploy"]);
  seen = [];
  for (const key of [null, "sp_wrong", other.key]) {
    const { response, code } = await call(key);
    assert.deepEqual([response.status, code], [401, "UNAUTHENTICATED"]);
    assert.equal(response.headers.get("www-authenticate"), "Bearer");
    assert.equal(response.headers.get("x-sandpiper-outcome"), null);
  }
  assert.equal((await call(reader.key)).code, "FORBIDDEN");
  assert.equal((await call((await keyOf(["invoke"], ["hello"])).key)).code, "FUNCTION_NOT_FOUND");
  assert.deepEqual(seen, [], "nothing was queued");
  const bound = await keyOf(["invoke"], ["guarded"]);
  for (const { key } of [bound, await keyOf(["invoke"])]) assert.equal((await call(key)).code, "ok");
  await revokeKey(test.connection, "main", bound.facts.keyId);
  assert.equal((await call(bound.key)).code, "UNAUTHENTICATED");
});

it("are told who called, by the gateway alone, and never get the key", async () => {
  const { key, facts } = await keyOf(["invoke"]);
  seen = [];
  await call(key, "guarded", { "x-sandpiper-caller": "key forged" });
  await call(key, "hello", { "X-Sandpiper-Caller": "key forged" });
  assert.equal(seen[0]?.["x-sandpiper-caller"], `key ${facts.keyId}`);
  assert.ok(!JSON.stringify(seen[0]).includes(key));
  assert.equal(seen[1]?.["x-sandpiper-caller"], undefined, "a public function has no caller");
  assert.equal(seen[1]?.authorization, `Bearer ${key}`, "and gets its fields as they are");
});

it("are called by the command line with its key", async () => {
  const env = { SANDPIPER_URL: test.url, SANDPIPER_API_KEY: test.key };
  const invoked = await runCommand(["invoke", "guarded"], { cwd: "/", env });
  assert.deepEqual([invoked.code, invoked.stdout], [0, "hello"]);
  seen = [];
  await runCommand(["invoke", "hello"], { cwd: "/", env });
  assert.equal(seen[0]?.authorization, undefined, "a public function is not sent the key");
});

it("change from call to call with what is deployed", async () => {
  assert.ok((await test.deploy("turning", {})).ok);
  assert.equal((await call(null, "turning")).code, "ok");
  assert.ok((await test.deploy("turning", { access: "key" })).ok);
  assert.equal((await call(null, "turning")).code, "UNAUTHENTICATED");
  assert.ok((await test.deploy("turning", { access: "public" })).ok);
  assert.equal((await call(null, "turning")).code, "ok");
  const wrong = await test.deploy("turning", { access: "nobody" });
  assert.equal(((await wrong.json()) as { error: { code: string } }).error.code, "INVALID_CONFIG");
});
