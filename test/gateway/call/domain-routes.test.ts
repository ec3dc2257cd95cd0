/** Paths of a domain at which other functions of its tenant answer. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createKey, makeOperatorKey } from "../../../functions/store/tenant.ts";
import { type DomainRoutes, routedTarget, routesByDomain } from "../../../gateway/call/domain-routes.ts";
import { functionTarget } from "../../../gateway/call/target.ts";
import { startGateway } from "../../../gateway/gateway.ts";
import { eventually } from "../../helpers/eventually.ts";
import { deployment, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { askHost } from "../../helpers/host-request.ts";
import { runCommand } from "../../helpers/in-process-cli.ts";

describe("the longest route counts", () => {
  const host = { kind: "domain", tenant: "main", functionName: "web", isPreview: false, port: "" } as const;
  const at = (routes: DomainRoutes, path: string, name = "example.com") => {
    const target = functionTarget({ ...host, name, tenantDomain: name }, path);
    return target && routedTarget(routes, target).functionName;
  };

  it("by whole segments, byte for byte", () => {
    const routes = routesByDomain({
      api: ["example.com/api/*", "other.example/x/*"],
      users: ["example.com/api/users/*", "example.com/health"],
      z: ["example.com/api/*", "example.com/api/users/me"],
    });
    const expected: Record<string, string> = {
      "/": "web",
      "/api": "api",
      "/api/": "api",
      "/api?x": "api",
      "/api/x/y": "api",
      "/apis": "web",
      "/API/x": "web",
      "/%61pi/x": "web",
      "//api/x": "web",
      "/api/users": "users",
      "/api/users/1?next=/api": "users",
      "/api/usersx": "api",
      "/api/users/me": "z",
      "/api/users/me/": "users",
      "/api/../x": "api",
      "/health": "users",
      "/health/x": "web",
      "/x/api/": "web",
      [`/api${"/x".repeat(5_000)}`]: "api",
      [`/${"x".repeat(300)}/api/x`]: "web",
    };
    assert.deepEqual(Object.fromEntries(Object.keys(expected).map((path) => [path, at(routes, path)])), expected);
    assert.equal(at(routes, "/x/1", "other.example"), "api");
    assert.equal(at(routes, "/api/x", "third.example"), "web");
  });

  it("and not what an object has by itself", () => {
    const routes = routesByDomain({ constructor: ["example.com/constructor/*"] });
    assert.equal(at(routes, "/constructor/x"), "constructor");
    assert.equal(at(routesByDomain({}), "/__proto__/x"), "web");
  });
});

describe("a gateway", () => {
  let test: TestGateway;
  let other: string;
  before(async () => {
    test = await startTestGateway();
    await makeOperatorKey(test.connection, test.key.split("_")[1] ?? "");
    ({ key: other } = await createKey(test.connection, "other"));
    test.answer = ({ tenant, functionName, request }) => ({
      body: Buffer.from(`${tenant} ${functionName} ${request.path}`),
    });
    await deploy("web");
    await bind("shop.example.com", { function: "web" });
  });
  after(() => test.stop());

  const send = (method: string, path: string, body?: unknown, key = test.key) =>
    fetch(test.url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  async function deploy(name: string, config = {}, key = test.key): Promise<void> {
    const response = await send("PUT", `/v1/functions/${name}`, deployment(name, config), key);
    assert.ok(response.ok, await response.text());
  }
  async function bind(name: string, wish: unknown): Promise<void> {
    assert.ok((await send("PUT", `/v1/domains/${name}`, wish)).ok);
    assert.ok((await send("POST", `/v1/domains/${name}/verify`, { verified: true })).ok);
  }
  const get = async (path: string, url = test.url) => (await askHost(url, "shop.example.com", path)).body;

  it("follows what is live: deployments, rollbacks and deletions", async () => {
    const second = await startGateway(test.config, test.connection, test.log);
    try {
      const soon = (text: string) =>
        eventually(async () => (await get("/api/x?y", `http://127.0.0.1:${second.port}`)) === text);
      await soon("main web /api/x?y");
      await deploy("api", { routes: [] });
      await deploy("api", { routes: ["shop.example.com/api/*"] });
      assert.equal(await get("/api/x?y"), "main api /api/x?y");
      assert.equal(await get("/x"), "main web /x");
      await soon("main api /api/x?y");
      assert.ok((await send("POST", "/v1/functions/api/rollback", {})).ok);
      assert.equal(await get("/api/x?y"), "main web /api/x?y");
      await soon("main web /api/x?y");
      await deploy("api", { routes: ["shop.example.com/api/*"] });
      assert.equal(await get("/api/x?y"), "main api /api/x?y");
      assert.ok((await send("DELETE", "/v1/functions/api")).ok);
      assert.equal(await get("/api/x?y"), "main web /api/x?y");
      await soon("main web /api/x?y");
    } finally {
      await second.stop();
    }
  });

  it("gives no tenant a path of another's domain", async () => {
    await deploy("thief", { routes: ["shop.example.com/api/*"] }, other);
    assert.equal(await get("/api/x"), "main web /api/x");
  });

  it("asks for the access of the function that answers", async () => {
    await deploy("keyed", { routes: ["shop.example.com/keyed/*"], access: "key" });
    assert.equal((await askHost(test.url, "shop.example.com", "/keyed/x")).status, 401);
    const headers = { authorization: `Bearer ${test.key}` };
    const { body } = await askHost(test.url, "shop.example.com", "/keyed/x", { headers });
    assert.equal(body, "main keyed /keyed/x");
  });

  it("lets a key for single functions take no path of others' domains", async () => {
    const wish = { scopes: ["deploy", "read"], functions: ["mine"] };
    const { key } = (await (await send("POST", "/v1/keys", wish)).json()) as { key: string };
    const tryRoute = (domain: string) =>
      send("PUT", "/v1/functions/mine", deployment("mine", { routes: [`${domain}/api/*`] }), key);
    await deploy("mine", {}, key);
    for (const domain of ["shop.example.com", "nobody.example.com"]) {
      const response = await tryRoute(domain);
      const { error } = (await response.json()) as { error: { code: string; message: string } };
      assert.deepEqual([response.status, error.code], [404, "DOMAIN_NOT_FOUND"]);
      assert.equal(error.message, `The tenant has no domain ${domain}.`);
    }
    await bind("mine.example.com", { function: "mine" });
    assert.equal((await tryRoute("mine.example.com")).status, 200);
  });

  it("says which routes there are, and whether they count", async () => {
    await deploy("told", { routes: ["shop.example.com/told/*", "later.example.com/x"] });
    const env = { SANDPIPER_URL: test.url, SANDPIPER_API_KEY: test.key };
    const { stdout } = await runCommand(["info", "told"], { cwd: "/", env });
    assert.match(stdout, /^routes +shop\.example\.com\/told\/\*, later\.example\.com\/x \(not proven\)$/m);
  });
});
