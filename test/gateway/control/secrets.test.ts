/** The control API for secrets, and what becomes of `env` at a deployment. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { BuildRequest } from "../../../functions/model/build.ts";
import { Registry } from "../../../functions/store/registry.ts";
import { createKey, makeOperatorKey } from "../../../functions/store/tenant.ts";
import { startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

let test: TestGateway;
before(async () => {
  test = await startTestGateway();
});
after(() => test.stop());

const VALUE = "canary-4d1f-value";

function send(method: string, path: string, body?: unknown, key = test.key): Promise<Response> {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  return fetch(test.url + path, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
}

const set = (name: string, value: unknown, query = "") => send("PUT", `/v1/secrets/${name}${query}`, { value });
const codeOf = async (response: Response) => ((await response.json()) as { error: { code: string } }).error.code;
const messageOf = async (response: Response) =>
  ((await response.json()) as { error: { message: string } }).error.message;

it("sets, lists and deletes them, and shows no value", async () => {
  const answers: string[] = [];
  for (const [name, query] of [
    ["OWN", "?function=hello"],
    ["SHARED", ""],
  ] as const) {
    const response = await set(name, VALUE, query);
    assert.equal(response.status, 200);
    answers.push(await response.text());
  }
  const all = await (await send("GET", "/v1/secrets")).text();
  answers.push(all, await (await send("GET", "/v1/secrets?function=hello")).text());
  const listed = (JSON.parse(all) as { secrets: { name: string; function: string | null }[] }).secrets;
  assert.deepEqual(
    listed.map((secret) => [secret.name, secret.function]),
    [
      ["SHARED", null],
      ["OWN", "hello"],
    ],
  );
  for (const answer of [...answers, ...test.logged, ...test.accessed]) assert.ok(!answer.includes(VALUE), answer);
  assert.equal((await send("DELETE", "/v1/secrets/OWN")).status, 404);
  assert.equal((await send("DELETE", "/v1/secrets/OWN?function=hello")).status, 204);
  assert.equal(await codeOf(await send("DELETE", "/v1/secrets/OWN?function=hello")), "SECRET_NOT_FOUND");
});

it("keeps tenants apart", async () => {
  const { key } = await createKey(test.connection, "else");
  await set("SHARED", VALUE);
  assert.deepEqual(await (await send("GET", "/v1/secrets", undefined, key)).json(), { secrets: [] });
  assert.equal((await send("DELETE", "/v1/secrets/SHARED", undefined, key)).status, 404);
  assert.equal((await fetch(`${test.url}/v1/secrets`)).status, 401);
});

it("refuses names and values that cannot be, says why, and repeats no value", async () => {
  const names = ["1A", "A-B", "__proto__", "x".repeat(129)];
  const steering = ["NODE_OPTIONS", "LD_PRELOAD", "NODE_EXTRA_CA_CERTS", "PORT", "NODE_ENV", "SANDPIPER_X", "LD_AUDIT"];
  for (const name of [...names, ...steering]) assert.equal((await set(name, VALUE)).status, 400, name);
  assert.match(await messageOf(await set("NODE_OPTIONS", VALUE)), /NODE_OPTIONS cannot be a secret: it steers Node/);
  assert.match(await messageOf(await set("PORT", VALUE)), /set it in "env"/);
  for (const value of ["", `${VALUE}\0`, `${VALUE}${"x".repeat(32_768)}`, `${VALUE}\ud800`, 7, null, { a: VALUE }]) {
    const response = await set("NAME", value);
    assert.equal(response.status, 400);
    assert.ok(!(await response.text()).includes(VALUE));
  }
  assert.equal((await set("NAME", "\u0001".repeat(32_768))).status, 200);
  assert.equal(await codeOf(await send("PUT", "/v1/secrets/NAME", { value: "x".repeat(300_000) })), "BODY_TOO_LARGE");
});

it("refuses the names that steer the runtime in env, too", async () => {
  for (const name of ["NODE_OPTIONS", "LD_PRELOAD", "NODE_TLS_REJECT_UNAUTHORIZED", "SANDPIPER_VERSION"]) {
    const response = await test.deploy("steered", { env: { [name]: VALUE } });
    assert.equal(response.status, 400);
    const text = await response.text();
    assert.match(text, new RegExp(`${name} cannot be set: `));
    assert.ok(!text.includes(VALUE));
  }
  assert.equal((await test.deploy("steered", { env: { NODE_ENV: "test", PORT: "9000", TZ: "UTC" } })).status, 201);
});

it("keeps env sealed, names it only, and gives jobs nothing of it", async () => {
  const builds: BuildRequest[] = [];
  const { build } = test;
  test.build = (request) => {
    builds.push(request);
    return build(request);
  };
  const versions: string[] = [];
  for (const value of [VALUE, VALUE, `${VALUE}2`]) {
    const response = await test.deploy("sealed", { env: { API_KEY: value }, secrets: [] });
    const text = await response.text();
    assert.ok(response.ok && !text.includes(VALUE), text);
    versions.push((JSON.parse(text) as { version: string }).version);
  }
  assert.equal(versions[0], versions[1]);
  assert.notEqual(versions[0], versions[2]);
  assert.ok(builds.length > 0 && !JSON.stringify(builds).includes("canary"));
  const info = await (await test.api("/v1/functions/sealed")).text();
  assert.ok(info.includes('"API_KEY":"***"') && !info.includes(VALUE));
  const kept = await new Registry(test.connection).getFunction({ tenant: "main", functionName: "sealed" });
  assert.deepEqual([kept?.version.config.env, kept?.version.env?.names], [{}, ["API_KEY"]]);
  assert.ok(!JSON.stringify(kept).includes("canary"));
});

it("says that secrets do not open, and why in its log alone", async () => {
  await test.connection.hset("sp:datakeys:broken", {
    current: "0".repeat(12),
    ["0".repeat(12)]: `sp1.${"0".repeat(12)}.${"A".repeat(60)}`,
  });
  const { key } = await createKey(test.connection, "broken");
  const response = await send("PUT", "/v1/secrets/NAME", { value: VALUE }, key);
  assert.equal(await codeOf(response), "SECRETS_UNREADABLE");
  assert.ok(test.logged.some((line) => line.includes("sealed with the master key 000000000000")));
  await test.connection.del("sp:datakeys:broken");
});

it("rewraps, and tells numbers of all tenants to the operator alone", async () => {
  const rewrap = async () => (await (await send("POST", "/v1/secrets/rewrap")).json()) as Record<string, unknown>;
  const masterKey = (test.config.masterKeys ?? assert.fail()).first.id;
  assert.deepEqual(await rewrap(), { masterKey });
  await makeOperatorKey(test.connection, test.key.split("_")[1] ?? "");
  const { tenants, ...done } = await rewrap();
  assert.ok(Number(tenants) >= 1);
  assert.deepEqual(done, { masterKey, rewrapped: 0, sealed: 0 });
});
