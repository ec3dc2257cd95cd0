/** Requests for domains of tenants: they are for the function alone, however they are written. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import type { Invocation } from "../../../functions/model/invocation.ts";
import { createKey, makeOperatorKey } from "../../../functions/store/tenant.ts";
import { RawClient, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { askHost } from "../../helpers/host-request.ts";

let test: TestGateway;
let calls: Invocation[] = [];
before(async () => {
  test = await startTestGateway({ trustedProxies: ["127.0.0.0/8"], gatewayHosts: ["gateway.example"] });
  await makeOperatorKey(test.connection, test.key.split("_")[1] ?? "");
  const versions = [await deploy("shop"), await deploy("shop", { timeoutMs: 5_000 })];
  // A function with the name of a preview must not answer for the alias.
  await deploy("staging--shop", { timeoutMs: 6_000 });
  await put("/v1/functions/shop/aliases/staging", { routes: [{ version: versions[0] }] });
  await put("/v1/functions/shop/aliases/abc", { routes: [{ version: versions[0] }] });
  await bind("shop.example.com", { function: "shop" });
  await bind("next.example.com", { function: "shop", alias: "staging" });
  test.answer = (call) => {
    calls.push(call);
    return { body: Buffer.from(`${call.functionName} ${call.version}`) };
  };
});
after(() => test.stop());
beforeEach(() => {
  calls = [];
});

async function put(path: string, body: unknown) {
  const headers = { "content-type": "application/json" };
  const response = await test.api(path, { method: "PUT", body: JSON.stringify(body), headers });
  assert.ok(response.ok, `${path}: ${await response.text()}`);
}

async function deploy(name: string, config = {}): Promise<string> {
  const response = await test.deploy(name, config);
  assert.ok(response.ok);
  return ((await response.json()) as { version: string }).version;
}

async function bind(name: string, wish: unknown) {
  await put(`/v1/domains/${name}`, wish);
  const headers = { "content-type": "application/json" };
  const init = { method: "POST", body: JSON.stringify({ verified: true }), headers };
  assert.ok((await test.api(`/v1/domains/${name}/verify`, init)).ok);
}

/** Status and, if the answer is an error, its code, of a request as it is given. */
async function raw(lines: string): Promise<string> {
  const client = new RawClient(test.url);
  client.send(`${lines}\r\nconnection: close\r\n\r\n`);
  const text = await client.ended();
  return [/^HTTP\/1\.1 (\d+)/.exec(text)?.[1], /"code":"(\w+)"/.exec(text)?.[1]].filter(Boolean).join(" ");
}

describe("a request for a domain", () => {
  it("gets the function at the root, with the domain in its URL", async () => {
    const { status } = await askHost(test.url, "shop.example.com", "/a//b?c=%2e", {
      headers: {
        "x-forwarded-proto": "https",
        "x-forwarded-for": "203.0.113.7",
        "x-forwarded-host": "shop.example.com",
      },
    });
    assert.equal(status, 200);
    const [call] = calls;
    assert.deepEqual(
      [call?.functionName, call?.request.url, call?.request.path, call?.request.remoteAddress],
      ["shop", "https://shop.example.com/a//b?c=%2e", "/a//b?c=%2e", "203.0.113.7"],
    );
    const fields = Object.fromEntries(call?.request.headers ?? []);
    assert.equal(fields["x-forwarded-host"], "shop.example.com");
    assert.equal(fields["x-forwarded-prefix"], undefined);
    assert.equal(fields["x-forwarded-port"], "443");
  });

  it("gets nothing of the gateway's own, whatever the path and the key", async () => {
    const paths = ["/v1/functions", "/v1/whoami", "/v1/openapi.json", "/v1/domains/check?domain=shop.example.com"];
    const headers = { authorization: `Bearer ${test.key}` };
    for (const path of [...paths, "/healthz", "/readyz", "/fn/main/hello/", "/fn/main/staging--shop/"]) {
      const { status, body } = await askHost(test.url, "shop.example.com", path, { headers });
      assert.deepEqual([status, body.split(" ")[0]], [200, "shop"], path);
    }
    assert.deepEqual(
      calls.map(({ request }) => request.path),
      [...paths, "/healthz", "/readyz", "/fn/main/hello/", "/fn/main/staging--shop/"],
    );
  });

  it("is one however its host is written, and none when it could be another", async () => {
    const hosts = ["shop.example.com:8443", "SHOP.Example.COM", "shop.example.com.", "shop.example.com.:80"];
    for (const host of hosts) assert.equal(await raw(`GET / HTTP/1.1\r\nhost: ${host}`), "200", host);
    assert.equal(await raw("GET http://shop.example.com/x HTTP/1.1\r\nhost: gateway.example"), "200");
    assert.equal(calls.length, 5);
    assert.equal(calls.at(-1)?.request.url, "http://shop.example.com/x");
    const refused: [string, string][] = [
      ["GET / HTTP/1.1\r\nhost: shop.example.com\r\nhost: shop.example.com", "400 INVALID_REQUEST"],
      ["GET / HTTP/1.1\r\nhost: gateway.example\r\nHost: shop.example.com", "400 INVALID_REQUEST"],
      ["GET / HTTP/1.1\r\nhost: shop.example.com\0", "400 MALFORMED_REQUEST"],
      ["GET / HTTP/1.1\r\nhost: shop.example.com, gateway.example", "400 INVALID_REQUEST"],
      ["GET / HTTP/1.1\r\nhost: shop.example.com/", "400 INVALID_REQUEST"],
      ["GET / HTTP/1.1\r\nhost: x@shop.example.com", "400 INVALID_REQUEST"],
      ["GET / HTTP/1.1\r\nhost: shop.example.com:99999", "400 INVALID_REQUEST"],
      ["GET / HTTP/1.1\r\nhost: shop.example.com..", "421 UNKNOWN_HOST"],
      ["GET / HTTP/1.1\r\nhost: www.shop.example.com", "421 UNKNOWN_HOST"],
      ["GET / HTTP/1.1\r\nhost: *.example.com", "400 INVALID_REQUEST"],
      ["GET http://evil.example/ HTTP/1.1\r\nhost: shop.example.com", "421 UNKNOWN_HOST"],
    ];
    for (const [lines, answer] of refused) assert.equal(await raw(lines), answer, lines);
    assert.equal(calls.length, 5);
  });

  it("gets the version of the alias, also beside a function of a preview's name", async () => {
    const { aliases } = (await (await test.api("/v1/functions/shop/aliases")).json()) as {
      aliases: { alias: string; routes: { version: string }[] }[];
    };
    const version = aliases.find(({ alias }) => alias === "staging")?.routes[0]?.version;
    const { body } = await askHost(test.url, "next.example.com", "/");
    assert.equal(body, `shop ${version}`);
    assert.match((await askHost(test.url, "staging--shop.main.localhost", "/")).body, /^staging--shop /);
  });

  it("gets 404 when the alias is gone, also when a version begins with its name", async () => {
    await bind("abc.example.com", { function: "shop", alias: "abc" });
    assert.equal((await askHost(test.url, "abc.example.com", "/")).status, 200);
    await test.api("/v1/functions/shop/aliases/abc", { method: "DELETE" });
    const stored = await test.connection.hgetall("sp:versions:main:shop");
    const [field = ""] = Object.keys(stored).filter((name) => !name.includes(":"));
    await test.connection.hset("sp:versions:main:shop", `abc${field.slice(3)}`, stored[field] ?? "");
    assert.equal((await askHost(test.url, "abc.example.com", "/")).status, 404);
  });

  it("is let in as the function's access says", async () => {
    const { key: stranger } = await createKey(test.connection, "stranger");
    await deploy("keyed", { access: "key" });
    await deploy("signed", { access: "signed" });
    const jwt = { issuer: "https://issuer.example", audience: "a", jwks: "https://issuer.example/jwks" };
    await deploy("tokens", { access: { jwt } });
    for (const name of ["keyed", "signed", "tokens"]) await bind(`${name}.example.com`, { function: name });
    const ask = async (host: string, path = "/", key?: string) =>
      (await askHost(test.url, host, path, { headers: key === undefined ? {} : { authorization: `Bearer ${key}` } }))
        .status;
    assert.equal(await ask("keyed.example.com"), 401);
    assert.equal(await ask("keyed.example.com", "/", stranger), 401);
    assert.equal(await ask("keyed.example.com", "/", test.key), 200);
    assert.equal(await ask("tokens.example.com"), 401);
    const init = { method: "POST", body: JSON.stringify({ path: "/x", lifetimeMs: 60_000 }) };
    const headers = { "content-type": "application/json" };
    const signed = await test.api("/v1/functions/signed/signed-urls", { ...init, headers });
    const { pathname, search } = new URL(((await signed.json()) as { url: string }).url);
    assert.equal(await ask("signed.example.com", "/x"), 403);
    assert.equal(await ask("signed.example.com", pathname + search), 200);
    assert.equal(await ask("signed.example.com", `/y${search}`), 403);
  });

  it("sets cookies for the domain and what is below it, and for nothing beside it", async () => {
    test.answer = () => ({
      headers: [
        ["set-cookie", "a=1; Domain=shop.example.com"],
        ["set-cookie", "b=1; Domain=example.com; Secure"],
      ],
    });
    const { headers } = await askHost(test.url, "shop.example.com", "/");
    assert.deepEqual(headers["set-cookie"], ["a=1; Domain=shop.example.com", "b=1; Secure"]);
  });
});
