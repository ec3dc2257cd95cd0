/** Tenants that are made, suspended and deleted, beside others that stay as they are. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Hono } from "hono";
import { newInvocationId } from "../../../functions/model/invocation-id.ts";
import type { InvocationRecord } from "../../../functions/model/record.ts";
import { FileArtifactStore } from "../../../functions/store/artifacts.ts";
import { claimDomain, findDomain, proveDomain } from "../../../functions/store/domains/domains.ts";
import { KEY_TABLE, matcherOf } from "../../../functions/store/key-table.ts";
import { appendLogs, recordInvocation, recordUnrun } from "../../../functions/store/logs.ts";
import { setQuotas } from "../../../functions/store/quotas.ts";
import { createKey, makeOperatorKey } from "../../../functions/store/tenant.ts";
import { moveTenant, NAME_KEPT_MS, STOPS } from "../../../functions/store/tenant-states.ts";
import { storeSpans } from "../../../functions/store/traces.ts";
import type { Environment } from "../../../gateway/control/context.ts";
import { deletionFence } from "../../../gateway/control/middleware/deletion-fence.ts";
import { startGateway } from "../../../gateway/gateway.ts";
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
  tenant: string;
  state: string;
  since: string | null;
  tenants: { tenant: string }[];
  removed: Record<string, number>;
  missing: string[];
  error: { code: string; message: string };
}

async function request(method: string, path: string, key = test.key, body?: unknown) {
  const response = await fetch(test.url + path, {
    method,
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, text, body: (text === "" ? {} : JSON.parse(text)) as Body };
}
const deploy = (name: string, key: string) => request("PUT", `/v1/functions/${name}`, key, deployment(name));
const call = (tenant: string, name: string, url = test.url) => fetch(`${url}/fn/${tenant}/${name}/`);
const cli = (args: string[], key = test.key) =>
  runCommand(args, { cwd: "/", env: { SANDPIPER_URL: test.url, SANDPIPER_API_KEY: key } });

/** A new tenant with a key. */
async function newTenant(tenant: string): Promise<string> {
  assert.equal((await request("POST", "/v1/tenants", test.key, { tenant })).status, 201);
  return (await createKey(test.connection, tenant)).key;
}

function recordOf(tenant: string, outcome: InvocationRecord["outcome"] = "ok"): InvocationRecord {
  const id = newInvocationId(Date.now());
  const times = { enqueuedAtMs: 1, startedAtMs: 1, endedAtMs: Date.now() };
  const parts = { id, tenant, functionName: "shop", version: "v", outcome, ...times };
  return parts as unknown as InvocationRecord;
}

/** Gives a tenant something of every kind. */
async function furnish(tenant: string, key: string): Promise<void> {
  const redis = test.connection;
  assert.equal((await deploy("shop", key)).status, 201);
  assert.equal((await request("PUT", "/v1/secrets/A", key, { value: "1" })).status, 200);
  assert.equal((await request("PUT", "/v1/secrets/B?function=shop", key, { value: "2" })).status, 200);
  await request("POST", `/v1/egress/${tenant}`, test.key, { list: "deny", add: ["x.com"] });
  const hold = { holder: "7f7e5ab4-3a0f-4f2d-8e3a-0d3f3f6c8c11", ttlMs: 600_000 };
  assert.equal((await request("PUT", "/v1/functions/held/hold", key, hold)).status, 200);
  const records = [recordOf(tenant), recordOf(tenant), recordOf(tenant, "timeout")];
  await Promise.all(records.map((record) => recordInvocation(redis, record)));
  await recordUnrun(redis, recordOf(tenant, "platform_error"));
  for (const scope of [tenant, `${tenant}/shop`]) await setQuotas(redis, scope, { callsPerSecond: 900 });
  const line = { timeMs: 1, stream: "stdout", text: "hi", invocationId: null };
  await appendLogs(redis, { tenant, functionName: "shop" }, [line as never]);
  const span = { traceId: "a".repeat(32), attributes: { "sandpiper.tenant": tenant } };
  await storeSpans(redis, [span as never]);
  await new FileArtifactStore(test.artifactsDir).sourcesOf(tenant).put(Buffer.from("source"));
  await plantRest(tenant);
}

/** A key for each row of the table that the tenant has none of yet. */
async function plantRest(tenant: string): Promise<void> {
  const redis = test.connection;
  const name = `${tenant}.example.com`;
  await claimDomain(redis, tenant, name, { functionName: "shop", alias: null }, { seen: null, max: 100 });
  await proveDomain(redis, tenant, await findDomain(redis, tenant, name, null), { by: "operator" });
  const there = await redis.keys("sp:*");
  for (const { pattern, owner } of KEY_TABLE) {
    if (owner === "field") await redis.hsetnx(pattern, tenant, "1");
    if (owner === "fields") await redis.hset(pattern, `${tenant} x`, "1", `${tenant}/shop x`, "1");
    if (owner !== "tenant" || there.some((key) => matcherOf(pattern, tenant).test(key))) continue;
    await redis.set(pattern.replace("<tenant>", tenant).replaceAll(/<[^>]+>/g, "x"), "1");
  }
}

/** Keys, fields and calls of a tenant in Redis; but for what says that it was deleted. */
async function tracesOf(tenant: string): Promise<string[]> {
  const redis = test.connection;
  const found: string[] = [];
  for (const key of (await redis.keys("*")).sort()) {
    if (key.startsWith("sp:queue:") || key === STOPS) continue;
    if (key.split(":").includes(tenant)) found.push(key);
    const type = await redis.type(key);
    const texts =
      type === "hash"
        ? Object.entries(await redis.hgetall(key)).flat()
        : type === "string"
          ? [await redis.get(key)]
          : [];
    const isOf = (text: string) => text.split(/[ /]/)[0] === tenant || text.includes(`"tenant":"${tenant}"`);
    if (texts.some((text) => text !== null && isOf(text))) found.push(`${key} inside`);
  }
  return found;
}

describe("/v1/tenants", () => {
  it("is the operator's, and shows others their own tenant alone", async () => {
    const made = await request("POST", "/v1/tenants", test.key, { tenant: "one" });
    assert.deepEqual([made.status, made.body.state, made.body.since], [201, "active", null]);
    const again = await request("POST", "/v1/tenants", test.key, { tenant: "one" });
    assert.deepEqual([again.status, again.body.error.code], [409, "TENANT_EXISTS"]);
    assert.equal((await request("POST", "/v1/tenants", test.key, { tenant: "a/b" })).status, 400);
    const key = await newTenant("two");
    const all = await request("GET", "/v1/tenants");
    assert.ok(["main", "one", "two"].every((name) => all.body.tenants.some(({ tenant }) => tenant === name)));
    const own = await request("GET", "/v1/tenants", key);
    assert.deepEqual(
      own.body.tenants.map(({ tenant }) => tenant),
      ["two"],
    );
    const refused = await Promise.all([
      request("POST", "/v1/tenants", key, { tenant: "three" }),
      request("POST", "/v1/tenants/two/suspend", key),
      request("DELETE", "/v1/tenants/two", key),
    ]);
    for (const { status, body } of refused) assert.deepEqual([status, body.error.code], [403, "NOT_OPERATOR"]);
  });

  it("keeps what has an operator's key", async () => {
    for (const [method, path] of [
      ["POST", "/v1/tenants/main/suspend"],
      ["DELETE", "/v1/tenants/main"],
    ] as const) {
      const { status, body } = await request(method, path);
      assert.deepEqual([status, body.error.code], [400, "INVALID_REQUEST"]);
    }
    assert.equal((await call("main", "hello")).status, 200);
  });
});

describe("a suspended tenant", () => {
  it("is refused calls and changes at every gateway, and has all back afterwards", async () => {
    const key = await newTenant("late");
    await deploy("shop", key);
    const config = { host: "127.0.0.1", port: 0, publicUrl: null, bootstrapKeyFile: null };
    const second = await startGateway({ ...test.config, ...config }, test.redis.connect(), test.log);
    try {
      assert.equal((await call("late", "shop", second.url)).status, 200);
      assert.equal((await request("POST", "/v1/tenants/late/suspend")).body.state, "suspended");
      await eventually(async () => (await call("late", "shop", second.url)).status === 403);
      const refused = await call("late", "shop");
      assert.equal(refused.headers.get("x-sandpiper-outcome"), null, "no function is to blame");
      assert.deepEqual([refused.status, ((await refused.json()) as Body).error.code], [403, "TENANT_SUSPENDED"]);
      assert.equal((await call("late", "nothing")).status, 404, "as ever");
      assert.equal((await deploy("shop", key)).body.error.code, "TENANT_SUSPENDED");
      assert.equal((await request("PUT", "/v1/secrets/A", key, { value: "1" })).status, 403);
      assert.equal((await request("GET", "/v1/functions/shop", key)).status, 200);
      assert.equal((await request("POST", "/v1/tenants/late/resume")).body.state, "active");
      await eventually(async () => (await call("late", "shop", second.url)).status === 200);
      assert.equal((await call("late", "shop")).status, 200);
      assert.equal((await deploy("shop", key)).status, 200);
    } finally {
      await second.stop();
    }
  });
});

describe("a deleted tenant", () => {
  it("leaves nothing, and nobody else loses anything", async () => {
    const [gone, stays] = [await newTenant("gone"), await newTenant("stays")];
    await furnish("gone", gone);
    await furnish("stays", stays);
    const before = await tracesOf("stays");
    const { status, body } = await request("DELETE", "/v1/tenants/gone");
    assert.equal(status, 200, JSON.stringify(body));
    const { redisKeys = 0, ...counts } = body.removed;
    // Calls of one moment may have one entry together.
    const { logEntries = 0, auditEntries: _, ...exact } = counts;
    assert.ok(logEntries >= 3);
    assert.deepEqual(exact, {
      ...{
        functions: 2,
        versions: 1,
        secrets: 2,
        keys: 1,
        grants: 1,
        domains: 1,
        records: 4,
        traces: 1,
        sourceFiles: 1,
      },
    });
    assert.ok(redisKeys > 10);
    assert.deepEqual(await tracesOf("gone"), []);
    assert.equal((await call("stays", "shop")).status, 200);
    assert.deepEqual(await tracesOf("stays"), before);
    const sources = new FileArtifactStore(test.artifactsDir);
    const left = await sources.sourceTenants();
    assert.deepEqual([left.includes("gone"), left.includes("stays")], [false, true]);
    await request("DELETE", "/v1/tenants/stays");
    const [bytes, heaps] = [
      await test.connection.get("sp:recordbytes"),
      await test.connection.zrange("sp:recordheaps", 0, "-1", "WITHSCORES"),
    ];
    assert.equal(
      Number(bytes),
      heaps.reduce((sum, word, index) => sum + (index % 2 === 1 ? Number(word) : 0), 0),
    );
    assert.equal((await request("GET", "/v1/whoami", gone)).status, 401);
    assert.equal((await call("gone", "shop")).status, 404);
    assert.equal((await request("DELETE", "/v1/tenants/gone")).status, 404);
  });

  it("has nothing left of a deployment beside its deletion", async () => {
    const key = await newTenant("racer");
    const { build } = test;
    test.build = async (asked) => {
      const deleted = await request("DELETE", "/v1/tenants/racer");
      assert.equal(deleted.status, 200);
      return build(asked);
    };
    const { status, body } = await deploy("shop", key).finally(() => {
      test.build = build;
    });
    assert.deepEqual([status, body.error.code], [401, "UNAUTHENTICATED"]);
    assert.deepEqual(await tracesOf("racer"), []);
  });

  it("has nothing left of what the operator changes beside its deletion", async () => {
    const paths = ["/v1/quotas/beside", "/v1/tenants/beside", "/v1/egress/beside", "/v1/keys?tenant=beside"];
    const change = async (path: string, keyId: string) => {
      await test.connection.hdel(STOPS, "beside");
      await newTenant("beside");
      const app = new Hono<Environment>();
      app.use(async (c, next) => {
        c.set("principal", { tenant: "main", keyId, scopes: ["admin"], functions: null });
        await next();
      });
      app.use(deletionFence({ redis: test.connection, artifacts: new FileArtifactStore(test.artifactsDir) }));
      app.post("*", async (c) => {
        assert.equal((await request("DELETE", "/v1/tenants/beside")).status, 200);
        await setQuotas(test.connection, "beside", { callsPerSecond: 1 });
        return c.json({});
      });
      assert.equal((await app.request(path, { method: "POST" })).status, 200);
      return tracesOf("beside");
    };
    const operator = test.key.split("_")[1] ?? "";
    for (const path of paths) assert.deepEqual(await change(path, operator), [], path);
    // Whoever changes nothing there has nobody look through all of Redis.
    assert.deepEqual(await change("/v1/quotas/beside", "0".repeat(12)), ["sp:quotas inside"]);
    await test.connection.hdel("sp:quotas", "beside callsPerSecond");
  });

  it("and one that never was gets no limits, weights and grants", async () => {
    for (const [method, path, body] of [
      ["POST", "/v1/quotas/gone", { limits: { callsPerSecond: 1 } }],
      ["POST", "/v1/quotas/never", { limits: { callsPerSecond: 1 } }],
      ["POST", "/v1/quotas/never", { function: "f", limits: { callsPerSecond: 1 } }],
      ["POST", "/v1/tenants/never", { weight: 2 }],
      ["POST", "/v1/egress/never", { list: "deny", add: ["x.com"] }],
      ["DELETE", "/v1/egress/never", undefined],
    ] as const) {
      const { status, body: answer } = await request(method, path, test.key, body);
      assert.deepEqual([status, answer.error?.code], [404, "TENANT_NOT_FOUND"], `${method} ${path}`);
    }
    assert.deepEqual([...(await tracesOf("never")), ...(await tracesOf("gone"))], []);
  });

  it("goes on where its deletion broke off, and its late calls leave nothing either", async () => {
    const key = await newTenant("broken");
    await deploy("shop", key);
    await moveTenant(test.connection, "broken", "deleting");
    await eventually(async () => (await request("GET", "/v1/whoami", key)).status === 401);
    assert.equal((await request("POST", "/v1/gc")).status, 200);
    assert.deepEqual(await tracesOf("broken"), []);
    await recordInvocation(test.connection, recordOf("broken"));
    assert.notDeepEqual(await tracesOf("broken"), []);
    const taken = await request("POST", "/v1/tenants", test.key, { tenant: "broken" });
    assert.deepEqual([taken.status, taken.body.error.code], [409, "TENANT_EXISTS"]);
    assert.match(taken.body.error.message, /free from 20\d\d-/);
    // As if it had been deleted long ago, which the next collection sees.
    const sinceMs = Date.now() - 2 * NAME_KEPT_MS;
    await test.connection.hset(STOPS, "broken", JSON.stringify({ state: "deleted", sinceMs }));
    assert.equal((await request("POST", "/v1/gc")).status, 200);
    assert.deepEqual(await tracesOf("broken"), []);
    assert.equal((await request("POST", "/v1/tenants", test.key, { tenant: "broken" })).status, 201);
  });
});

describe("sandpiper tenant", () => {
  it("makes, lists, suspends and deletes", async () => {
    assert.equal((await cli(["tenant", "create", "acme"])).code, 0);
    const listed = JSON.parse((await cli(["tenant", "list", "--json"])).stdout) as Body[];
    assert.ok(listed.some(({ tenant, state }) => tenant === "acme" && state === "active"));
    const suspended = JSON.parse((await cli(["tenant", "suspend", "acme", "--json"])).stdout) as Body;
    assert.equal(suspended.state, "suspended");
    assert.match((await cli(["tenant", "info", "acme"])).stdout, /acme.*suspended/);
    assert.equal((await cli(["tenant", "resume", "acme"])).code, 0);
    const unsure = await cli(["tenant", "delete", "acme"]);
    assert.match(unsure.stderr, /--yes/);
    const deleted = JSON.parse((await cli(["tenant", "delete", "acme", "--yes", "--json"])).stdout) as Body;
    assert.deepEqual([deleted.tenant, deleted.removed.functions], ["acme", 0]);
    assert.equal((await cli(["tenant", "info", "acme"])).code, 6);
    assert.equal((await cli(["tenant", "create"])).code, 2);
  });
});
