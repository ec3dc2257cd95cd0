import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, it } from "node:test";
import { HOLDER_FIELD } from "../../../functions/api/schemas.ts";
import { FileArtifactStore } from "../../../functions/store/artifacts.ts";
import { deployment, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

let test: TestGateway;
before(async () => {
  test = await startTestGateway();
  const artifacts = new FileArtifactStore(test.artifactsDir);
  test.build = async () => ({
    ok: true,
    bundle: await artifacts.put(Buffer.from("bundle")),
    sourceMap: await artifacts.put(Buffer.from("map")),
    bundleBytes: 6,
    warnings: [],
  });
});
after(() => test.stop());

async function ask(method: string, path: string, body?: unknown, holder?: string): Promise<[number, unknown]> {
  const headers = { "content-type": "application/json", ...(holder !== undefined && { [HOLDER_FIELD]: holder }) };
  const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
  const response = await test.api(`/v1/functions/${path}`, init);
  const text = await response.text();
  const answer = text === "" ? null : JSON.parse(text);
  return [response.status, answer?.error?.code ?? answer];
}

it("a held name is deployed to, renewed and given up by its holder alone", async () => {
  const [holder, other] = [randomUUID(), randomUUID()];
  const wish = { holder, ttlMs: 600_000 };
  assert.deepEqual(await ask("PUT", "a/hold", wish), [200, { name: "a", deployed: false }]);
  assert.deepEqual(await ask("PUT", "a/hold", { ...wish, holder: other }), [409, "NAME_HELD"]);
  assert.deepEqual(await ask("PUT", "a", deployment("a")), [409, "NAME_HELD"]);
  assert.deepEqual(await ask("PUT", "a", deployment("a"), other), [409, "NAME_HELD"]);
  assert.equal((await ask("PUT", "a", deployment("a"), holder))[0], 201);
  assert.deepEqual(await ask("PUT", "a/hold", wish), [200, { name: "a", deployed: true }]);
  assert.partialDeepStrictEqual(await ask("GET", "a"), [200, { held: true }]);
  assert.deepEqual(await ask("DELETE", "a", undefined, other), [404, "FUNCTION_NOT_FOUND"]);
  assert.deepEqual(await ask("DELETE", "a", undefined, holder), [204, null]);
  assert.equal((await ask("GET", "a"))[0], 404);
});

it("a hold needs an id and a time within bounds", async () => {
  for (const wish of [{}, { holder: "me", ttlMs: 5_000 }, { holder: randomUUID(), ttlMs: 1 }, { ttlMs: 5_000 }]) {
    assert.deepEqual(await ask("PUT", "b/hold", wish), [400, "INVALID_REQUEST"]);
  }
  assert.deepEqual(await ask("PUT", "b", deployment("b"), "me"), [400, "INVALID_REQUEST"]);
  assert.equal((await ask("PUT", "b", deployment("b")))[0], 201);
  assert.partialDeepStrictEqual(await ask("GET", "b"), [200, { held: false }]);
  assert.deepEqual(await ask("PUT", "b/hold", { holder: randomUUID(), ttlMs: 5_000 }), [409, "NAME_HELD"]);
});
