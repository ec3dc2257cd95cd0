/** API keys: what each may do, when it ends, and that others' things are as if they were not. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newInvocationId } from "../../../functions/model/invocation-id.ts";
import { SCOPES, type Scope } from "../../../functions/model/scopes.ts";
import { listKeys, revokeKey, rotateKey } from "../../../functions/store/api-keys.ts";
import { recordInvocation } from "../../../functions/store/logs.ts";
import { createKey, makeOperatorKey } from "../../../functions/store/tenant.ts";
import { storeSpans } from "../../../functions/store/traces.ts";
import { ROUTES, ruleOf } from "../../../gateway/control/route-table.ts";
import { eventually } from "../../helpers/eventually.ts";
import { deployment, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { runCommand } from "../../helpers/in-process-cli.ts";

let test: TestGateway;
before(async () => {
  test = await startTestGateway();
  await makeOperatorKey(test.connection, test.key.split("_")[1] ?? "");
});
after(() => test.stop());

interface Body {
  key: string;
  keyId: string;
  scopes: string[];
  functions: string[] | { name: string }[] | null;
  expiresAt: string | null;
  lastUsedAt: string | null;
  keys: Body[];
  secrets: { name: string }[];
  error: { code: string; message: string };
}

async function request(method: string, path: string, key: string, body?: unknown) {
  const response = await fetch(test.url + path, {
    method,
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  // Fields that differ in any two answers.
  const said = text.replace(/"requestId":"[^"]+"/, "");
  return { status: response.status, said, body: (text.startsWith("{") ? JSON.parse(text) : {}) as Body };
}

/** A key of the tenant "main". */
async function keyOf(wish: { scopes: Scope[]; functions?: string[]; lifetimeMs?: number }): Promise<Body> {
  const { status, body } = await request("POST", "/v1/keys", test.key, wish);
  assert.equal(status, 201, JSON.stringify(body));
  return body;
}
const cli = (args: string[], key = test.key) =>
  runCommand(args, { cwd: "/", env: { SANDPIPER_URL: test.url, SANDPIPER_API_KEY: key } });
const deploy = (name: string, key: string) => request("PUT", `/v1/functions/${name}`, key, deployment(name));

describe("the table of routes", () => {
  it("has a row for each route of the API that takes a key", async () => {
    const document = (await (await fetch(`${test.url}/v1/openapi.json`)).json()) as {
      paths: Record<string, Record<string, { security?: unknown }>>;
    };
    const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).flatMap(([method, { security }]) =>
        security ? [`${method.toUpperCase()} ${path}`] : [],
      ),
    );
    assert.ok(routes.length > 20);
    assert.deepEqual(
      routes.filter((route) => !Object.hasOwn(ROUTES, route)),
      [],
      "add them to route-table.ts",
    );
  });

  it("lets nothing but a full key do what it does not have", () => {
    const { scope, isWhole } = ruleOf("POST", "/v1/new-thing");
    assert.deepEqual([scope, isWhole], ["admin", true]);
  });
});

describe("scopes", () => {
  it("let a key do what they cover, and name what it lacks", async () => {
    const keys = await Promise.all(SCOPES.map((scope) => keyOf({ scopes: [scope] })));
    const asks: [Scope, string, string, unknown?][] = [
      ["deploy", "PUT", "/v1/functions/scoped", deployment("scoped")],
      ["deploy", "POST", "/v1/sources/missing", { sha256: [] }],
      ["invoke", "POST", "/v1/functions/hello/events", {}],
      ["read", "GET", "/v1/functions"],
      ["read", "GET", "/v1/functions/hello/logs"],
      ["secrets", "GET", "/v1/secrets"],
      ["secrets", "PUT", "/v1/secrets/A", { value: "1" }],
      ["admin", "GET", "/v1/keys"],
    ];
    for (const [scope, method, path, body] of asks) {
      const answers = await Promise.all(keys.map(({ key }) => request(method, path, key, body)));
      for (const [index, one] of answers.entries()) {
        const may = SCOPES[index] === scope || SCOPES[index] === "admin";
        if (may) assert.ok(one.status < 300, `${SCOPES[index]} ${method} ${path}: ${one.said}`);
        else
          assert.deepEqual([one.status, one.body.error.code], [403, "FORBIDDEN"], `${SCOPES[index]} ${method} ${path}`);
        if (!may) assert.match(one.body.error.message, new RegExp(`the scope ${scope};`));
      }
    }
  });

  it("are told by whoami, with functions and end", async () => {
    const { key } = await keyOf({ scopes: ["read", "invoke"], functions: ["hello"], lifetimeMs: 3_600_000 });
    const { body } = await request("GET", "/v1/whoami", key);
    assert.deepEqual([body.scopes, body.functions], [["read", "invoke"], ["hello"]]);
    assert.ok(Date.parse(body.expiresAt ?? "") > Date.now());
    const shown = await cli(["whoami"], key);
    assert.match(shown.stdout, /scopes +read, invoke\nfor +hello\nexpires +20/);
  });
});

describe("a key for single functions", () => {
  it("sees nothing of others, as if they did not exist", async () => {
    assert.equal((await deploy("secret-one", test.key)).status, 201);
    await request("PUT", "/v1/secrets/OWN?function=hello", test.key, { value: "1" });
    await request("PUT", "/v1/secrets/OTHERS?function=secret-one", test.key, { value: "1" });
    const id = newInvocationId(Date.now());
    const record = { id, tenant: "main", functionName: "secret-one", outcome: "timeout", endedAtMs: 1 };
    await recordInvocation(test.connection, record as never);
    const span = { traceId: "b".repeat(32), attributes: { "sandpiper.tenant": "main", "faas.name": "secret-one" } };
    await storeSpans(test.connection, [span as never]);
    const { key } = await keyOf({ scopes: ["deploy", "invoke", "read", "secrets"], functions: ["hello"] });
    const asks: [string, (name: string) => string, unknown?][] = [
      ["GET", (name) => `/v1/functions/${name}`],
      ["GET", (name) => `/v1/functions/${name}/logs`],
      ["DELETE", (name) => `/v1/functions/${name}`],
      ["POST", (name) => `/v1/functions/${name}/events`, {}],
      ["PUT", (name) => `/v1/secrets/A?function=${name}`, { value: "1" }],
      ["DELETE", (name) => `/v1/secrets/OTHERS?function=${name}`],
      ["GET", (name) => `/v1/secrets?function=${name}`],
    ];
    for (const [method, path, body] of asks) {
      const [there, none] = await Promise.all(
        ["secret-one", "none"].map((name) => request(method, path(name), key, body)),
      );
      assert.equal(there?.status, 404, `${method} ${path("x")}`);
      assert.equal(there?.said.replaceAll("secret-one", "none"), none?.said);
    }
    assert.equal((await deploy("secret-one", key)).status, 404);
    assert.equal((await request("GET", `/v1/invocations/${id}`, key)).status, 404);
    assert.equal((await request("GET", `/v1/invocations/${id}`, test.key)).status, 200);
    assert.equal((await request("GET", `/v1/traces/${"b".repeat(32)}`, key)).status, 404);
    assert.equal((await request("GET", `/v1/traces/${"b".repeat(32)}`, test.key)).status, 200);
    const listed = (await request("GET", "/v1/functions", key)).body.functions as { name: string }[];
    assert.deepEqual(
      listed.map(({ name }) => name),
      ["hello"],
    );
    const secrets = (await request("GET", "/v1/secrets", key)).body.secrets;
    assert.deepEqual(
      secrets.map(({ name }) => name),
      ["OWN"],
    );
    assert.equal((await deploy("hello", key)).status, 200);
    assert.equal((await request("PUT", "/v1/secrets/OWN?function=hello", key, { value: "2" })).status, 200);
    const whole = await request("PUT", "/v1/secrets/A", key, { value: "1" });
    assert.deepEqual([whole.status, whole.body.error.code], [403, "FORBIDDEN"]);
    const admin = await keyOf({ scopes: ["admin"], functions: ["hello"] });
    assert.equal((await request("POST", "/v1/keys", admin.key, { scopes: ["admin"] })).status, 403);
  });
});

describe("the life of a key", () => {
  it("ends by Redis's clock, and is not listed then", async () => {
    const { key, keyId } = await keyOf({ scopes: ["read"], lifetimeMs: 60_000 });
    assert.equal((await request("GET", "/v1/functions", key)).status, 200);
    await test.connection.pexpire(`sp:apikey:${keyId}`, 1);
    await eventually(async () => (await request("GET", "/v1/functions", key)).status === 401);
    const { keys } = (await request("GET", "/v1/keys", test.key)).body;
    assert.ok(!keys.some((one) => one.keyId === keyId));
    assert.equal(await test.connection.hexists("sp:apikeys:main", keyId), 0);
  });

  it("is noted when it is used, and no more than once a minute", async () => {
    const { key, keyId } = await keyOf({ scopes: ["admin"] });
    const used = async () => (await request("GET", "/v1/keys", test.key)).body.keys.find((one) => one.keyId === keyId);
    assert.equal((await used())?.lastUsedAt, null);
    await request("GET", "/v1/whoami", key);
    await eventually(async () => (await used())?.lastUsedAt !== null);
    const first = (await used())?.lastUsedAt;
    await request("GET", "/v1/whoami", key);
    assert.equal((await used())?.lastUsedAt, first);
  });

  it("goes on in another key, with an overlap or without", async () => {
    const old = await keyOf({ scopes: ["read"], functions: ["hello"], lifetimeMs: 86_400_000 });
    const rotated = await request("POST", `/v1/keys/${old.keyId}/rotate`, test.key, { overlapMs: 3_600_000 });
    assert.equal(rotated.status, 201);
    assert.deepEqual([rotated.body.scopes, rotated.body.functions], [["read"], ["hello"]]);
    for (const { key } of [old, rotated.body]) assert.equal((await request("GET", "/v1/functions", key)).status, 200);
    const ttlMs = await test.connection.pttl(`sp:apikey:${old.keyId}`);
    assert.ok(ttlMs > 0 && ttlMs <= 3_600_000, "it ends after the overlap");
    assert.ok((await test.connection.pttl(`sp:apikey:${rotated.body.keyId}`)) > 3_600_000);
    const last = await request("POST", `/v1/keys/${rotated.body.keyId}/rotate`, test.key, { overlapMs: 0 });
    assert.equal((await request("GET", "/v1/functions", rotated.body.key)).status, 401);
    assert.equal((await request("GET", "/v1/functions", last.body.key)).status, 200);
    assert.equal((await request("DELETE", `/v1/keys/${last.body.keyId}`, test.key)).status, 204);
    assert.equal((await request("GET", "/v1/functions", last.body.key)).status, 401);
  });

  it("goes on in no other key when it is revoked while that is made", async () => {
    const old = await keyOf({ scopes: ["read"] });
    const before = (await listKeys(test.connection, "main")).length;
    // The list is asked for after the key was read, and before the next one is put.
    const redis = new Proxy(test.connection, {
      get(target, name) {
        if (name !== "hkeys") return Reflect.get(target, name, target);
        return async (key: string) => {
          await revokeKey(target, "main", old.keyId);
          return target.hkeys(key);
        };
      },
    });
    await assert.rejects(rotateKey(redis, "main", old.keyId, 0), { code: "KEY_NOT_FOUND" });
    assert.equal((await listKeys(test.connection, "main")).length, before - 1);
  });

  it("is an operator's to begin in a new tenant, and nobody's to end for the operator", async () => {
    await request("POST", "/v1/tenants", test.key, { tenant: "fresh" });
    const { status, body } = await request("POST", "/v1/keys?tenant=fresh", test.key, { scopes: ["admin"] });
    assert.equal(status, 201);
    assert.equal((await deploy("mine", body.key)).status, 201);
    const operator = test.key.split("_")[1] ?? "";
    assert.equal((await request("DELETE", `/v1/keys/${operator}`, test.key)).body.error.code, "INVALID_REQUEST");
    assert.equal((await request("POST", "/v1/keys?tenant=nobody", test.key, { scopes: ["read"] })).status, 404);
  });

  it("keeps no key that could be read back, in no answer and in no log", async () => {
    const { key, keyId } = await keyOf({ scopes: ["read"] });
    const secret = key.split("_").slice(2).join("_");
    assert.ok(!(await request("GET", "/v1/keys", test.key)).said.includes(secret));
    assert.ok(!(await test.connection.get(`sp:apikey:${keyId}`))?.includes(secret));
    assert.ok(!test.logged.join("").includes(secret));
  });
});

describe("sandpiper key", () => {
  it("makes, lists, rotates and revokes, with the key alone on stdout", async () => {
    const made = await cli([
      "key",
      "create",
      "--scope",
      "read",
      "--function",
      "hello",
      "--expires",
      "30d",
      "--note",
      "ci",
    ]);
    assert.match(made.stdout, /^sp_[0-9a-f]{12}_[\w-]{43}\n$/);
    const id = made.stdout.split("_")[1] ?? "";
    assert.match((await cli(["key", "list"])).stdout, new RegExp(`${id}  read  hello  expires 20.*never used.*ci`));
    const rotated = JSON.parse((await cli(["key", "rotate", id, "--overlap", "24h", "--json"])).stdout) as Body;
    assert.deepEqual(rotated.scopes, ["read"]);
    assert.match((await cli(["key", "revoke", id])).stderr, /--yes/);
    assert.equal((await cli(["key", "revoke", id, "--yes"])).code, 0);
    assert.equal((await cli(["key", "revoke", id, "--yes"])).code, 6);
    assert.equal((await cli(["key", "create"])).code, 2);
    assert.equal((await cli(["key", "list"], rotated.key)).code, 5);
  });

  it("makes no key of what is none", async () => {
    const { key } = await createKey(test.connection, "wrong");
    const wrong = [
      {},
      { scopes: [] },
      { scopes: ["all"] },
      { scopes: ["read"], functions: ["a:b"] },
      { scopes: ["read"], lifetimeMs: 1 },
    ];
    const answers = await Promise.all(wrong.map((body) => request("POST", "/v1/keys", key, body)));
    for (const { status, body } of answers) assert.deepEqual([status, body.error.code], [400, "INVALID_REQUEST"]);
    assert.equal((await request("GET", "/v1/keys", key)).body.keys.length, 1);
  });
});
