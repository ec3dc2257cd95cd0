/** Acts of administration in the audit log: of whom, on what, with which outcome. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { createKey, makeOperatorKey } from "../../../functions/store/tenant.ts";
import { MOST_REFUSED, RefusedActs } from "../../../gateway/control/middleware/refused-acts.ts";
import { deployment, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { runCommand } from "../../helpers/in-process-cli.ts";

let test: TestGateway;
let acme: { key: string; keyId: string };
before(async () => {
  test = await startTestGateway();
  await makeOperatorKey(test.connection, test.key.split("_")[1] ?? "");
  await request("POST", "/v1/tenants", test.key, { tenant: "acme" });
  acme = await createKey(test.connection, "acme");
});
after(() => test.stop());

interface Entry {
  time: string;
  tenant: string;
  keyId: string;
  operator: boolean;
  action: string;
  target: string;
  address: string;
  outcome: string;
}

async function request(method: string, path: string, key: string, body?: unknown) {
  const response = await fetch(test.url + path, {
    method,
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, text, body: text === "" ? {} : JSON.parse(text) };
}
const entries = async (query: string, key = acme.key): Promise<Entry[]> =>
  (await request("GET", `/v1/audit${query}`, key)).body.entries;

it("has each act with key, target, address and outcome, and no value", async () => {
  await request("PUT", "/v1/functions/shop", acme.key, deployment("shop"));
  await request("PUT", "/v1/secrets/A?function=shop", acme.key, { value: "hush-hush" });
  await request("PUT", "/v1/functions/shop", acme.key, deployment("wrong"));
  const made = await request("POST", "/v1/keys", acme.key, { scopes: ["read"] });
  await request("PUT", "/v1/secrets/A", made.body.key, { value: "hush-hush" });
  await request("GET", "/v1/functions", acme.key);
  await request("POST", "/v1/nothing", acme.key, {});
  const [created, ...found] = await entries("");
  assert.deepEqual([created?.action, created?.operator], ["tenant.create", true]);
  assert.deepEqual(
    found.map(({ action, target, outcome, keyId }) => [action, target, outcome, keyId]),
    [
      ["function.deploy", "shop", "ok", acme.keyId],
      ["secret.set", "shop/A", "ok", acme.keyId],
      ["function.deploy", "shop", "INVALID_CONFIG", acme.keyId],
      ["key.create", made.body.keyId, "ok", acme.keyId],
      ["secret.set", "A", "FORBIDDEN", made.body.keyId],
    ],
  );
  for (const { address, tenant, operator } of found)
    assert.deepEqual([address, tenant, operator], ["127.0.0.1", "acme", false]);
  const text = JSON.stringify(found);
  for (const secret of ["hush-hush", acme.key, made.body.key]) assert.ok(!text.includes(secret));
  assert.deepEqual(
    (await entries("?action=secret")).map(({ action }) => action),
    ["secret.set", "secret.set"],
  );
  assert.equal((await entries("?action=secr")).length, 0);
  assert.deepEqual(
    (await entries("?limit=1")).map(({ outcome }) => outcome),
    ["FORBIDDEN"],
  );
  const last = Date.parse(found.at(-1)?.time ?? "");
  assert.equal((await entries(`?since=${last + 1}`)).length, 0);
});

it("shows operators what they did, in a tenant's log as well, and others their own alone", async () => {
  await request("POST", "/v1/egress/acme", test.key, { list: "deny", add: ["x.com"] });
  const [mine] = (await entries("?action=egress")).slice(-1);
  assert.deepEqual([mine?.action, mine?.operator, mine?.target], ["egress.change", true, "acme"]);
  assert.ok((await entries("?action=egress", test.key)).some(({ tenant }) => tenant === "acme"));
  assert.ok((await entries("?tenant=acme&action=egress", test.key)).length > 0);
  const [other, none] = await Promise.all(
    ["main", "none"].map((tenant) => request("GET", `/v1/audit?tenant=${tenant}`, acme.key)),
  );
  assert.deepEqual([other?.status, none?.status], [404, 404]);
  assert.equal(other?.body.error.message.replace("main", "none"), none?.body.error.message);
  await request("POST", "/v1/keys?tenant=main", acme.key, { scopes: ["read"] });
  assert.ok(!(await entries("?tenant=main&action=key", test.key)).some(({ keyId }) => keyId === acme.keyId));
  await request("POST", "/v1/tenants", test.key, { tenant: "short" });
  await request("DELETE", "/v1/tenants/short", test.key);
  assert.equal(await test.connection.exists("sp:audit:short"), 0);
  const acts = (await entries("?action=tenant", test.key)).filter(({ tenant }) => tenant === "short");
  assert.deepEqual(
    acts.map(({ action }) => action),
    ["tenant.create", "tenant.delete"],
  );
});

it("takes few of the acts that a key is refused, and all that it does", async () => {
  const { body } = await request("POST", "/v1/keys", acme.key, { scopes: ["deploy"] });
  const asked = 300;
  for (let count = 0; count < asked; count++) {
    assert.equal((await request("PUT", "/v1/secrets/A", body.key, { value: "x" })).status, 403);
  }
  assert.equal((await request("PUT", "/v1/functions/after", body.key, deployment("after"))).status, 201);
  const own = (await entries("?limit=5000")).filter(({ keyId }) => keyId === body.keyId);
  const refused = own.filter(({ outcome }) => outcome === "FORBIDDEN").length;
  // A minute may end in between.
  assert.ok(refused >= MOST_REFUSED && refused < asked, String(refused));
  assert.deepEqual([own.at(-1)?.action, own.at(-1)?.outcome], ["function.deploy", "ok"]);
});

it("takes as many again of each key in the next minute", () => {
  let nowMs = 0;
  const acts = new RefusedActs(() => nowMs);
  const taken = (key: string) => Array.from({ length: MOST_REFUSED + 5 }, () => acts.take(key)).filter(Boolean).length;
  assert.deepEqual([taken("a"), taken("a"), taken("b")], [MOST_REFUSED, 0, MOST_REFUSED]);
  nowMs += 60_000;
  assert.equal(taken("a"), MOST_REFUSED);
});

it("is bounded in number and age", async () => {
  const stream = "sp:audit:acme";
  assert.ok((await test.connection.pttl(stream)) > 0);
  const filling = test.connection.pipeline();
  for (let index = 0; index < 11_000; index++) filling.xadd(stream, "*", "e", JSON.stringify({ action: "filler" }));
  await filling.exec();
  await request("PUT", "/v1/secrets/B", acme.key, { value: "1" });
  assert.ok((await test.connection.xlen(stream)) < 10_500);
  assert.equal((await entries("?action=secret&limit=5000")).at(-1)?.target, "B");
});

it("is printed by the command line", async () => {
  const env = { SANDPIPER_URL: test.url, SANDPIPER_API_KEY: acme.key };
  const printed = await runCommand(["audit", "--action", "secret", "--limit", "1"], { cwd: "/", env });
  assert.match(printed.stdout, new RegExp(`^20.*Z  acme  ${acme.keyId}  127.0.0.1  secret.set  B  ok\n$`));
  const json = await runCommand(["audit", "--since", "1h", "--limit", "1", "--json"], { cwd: "/", env });
  assert.equal(JSON.parse(json.stdout).length, 1);
});
