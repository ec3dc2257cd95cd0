/** Domains: who may claim, prove, move and remove them, and what proxies are told. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { createKey, makeOperatorKey } from "../../../functions/store/tenant.ts";
import { startGateway } from "../../../gateway/gateway.ts";
import { type DnsServer, startDnsServer } from "../../helpers/dns-server.ts";
import { eventually } from "../../helpers/eventually.ts";
import { deployment, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { askHost } from "../../helpers/host-request.ts";
import { runCommand } from "../../helpers/in-process-cli.ts";

let test: TestGateway;
let dns: DnsServer;
let other: string;
before(async () => {
  dns = await startDnsServer();
  test = await startTestGateway({ domains: { max: 4, resolver: dns.address } });
  await makeOperatorKey(test.connection, test.key.split("_")[1] ?? "");
  ({ key: other } = await createKey(test.connection, "other"));
  assert.equal((await request("PUT", "/v1/functions/web", deployment("web"), other)).status, 201);
});
after(async () => {
  await test.stop();
  dns.close();
});
beforeEach(async () => {
  dns.records.clear();
  for (const key of [test.key, other]) {
    for (const { name } of await list(key)) assert.equal((await remove(name, key)).status, 204);
  }
});

interface Body {
  name: string;
  function: string;
  alias: string | null;
  proven: { by: string } | null;
  record: { name: string; type: string; value: string };
  problem: string | null;
  domains: Body[];
  key: string;
  error: { code: string; message: string };
}

async function request(method: string, path: string, body?: unknown, key = test.key) {
  const response = await fetch(test.url + path, {
    method,
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: (text.startsWith("{") ? JSON.parse(text) : {}) as Body };
}

const add = (name: string, wish: unknown = { function: "hello" }, key = test.key) =>
  request("PUT", `/v1/domains/${encodeURIComponent(name)}`, wish, key);
const verify = (name: string, proof: unknown = {}, key = test.key, query = "") =>
  request("POST", `/v1/domains/${name}/verify${query}`, proof, key);
const remove = (name: string, key = test.key) => request("DELETE", `/v1/domains/${name}`, undefined, key);
const list = async (key = test.key) => (await request("GET", "/v1/domains", undefined, key)).body.domains;
const check = async (name: string) =>
  (await fetch(`${test.url}/v1/domains/check?domain=${encodeURIComponent(name)}`)).status;
const codeOf = ({ status, body }: { status: number; body: Body }) => [status, body.error?.code];
/** Where calls of a host arrive. */
const answering = async (host: string, url = test.url) => {
  const { status, body } = await askHost(url, host, "/");
  return status === 200 ? body : status;
};

/** Claims a name and puts its record into the DNS. */
async function claim(name: string, wish: unknown = { function: "hello" }, key = test.key): Promise<Body> {
  const { status, body } = await add(name, wish, key);
  assert.ok(status < 300, JSON.stringify(body));
  const { record } = body;
  dns.records.set(record.name, [...(dns.records.get(record.name) ?? []), [record.value]]);
  return body;
}

describe("a claim", () => {
  it("says which record proves it, and answers nobody", async () => {
    const { status, body } = await add("Shop.Example.COM.");
    assert.deepEqual([status, body.name, body.function, body.alias], [201, "shop.example.com", "hello", null]);
    assert.deepEqual([body.record.name, body.record.type], ["_sandpiper.shop.example.com", "TXT"]);
    assert.match(body.record.value, /^[0-9a-f]{40}$/);
    assert.equal(body.proven, null);
    assert.equal(await answering("shop.example.com"), 421);
    assert.equal(await check("shop.example.com"), 404);
  });

  it("made again keeps its token, and one made anew has another", async () => {
    const first = await add("shop.example.com");
    const again = await add("shop.example.com");
    assert.deepEqual([again.status, again.body.record], [200, first.body.record]);
    assert.equal((await remove("shop.example.com")).status, 204);
    assert.notDeepEqual((await add("shop.example.com")).body.record, first.body.record);
  });

  it("of the platform's own names is refused, however they are written", async () => {
    const names = [
      "hello.main.localhost",
      "localhost",
      "LOCALHOST.",
      "127.0.0.1",
      "gateway",
      "*.example.com",
      "a%00.b",
    ];
    for (const name of names) assert.deepEqual(codeOf(await add(name)), [400, "INVALID_DOMAIN"], name);
    assert.deepEqual(await list(), []);
  });

  it("of the names that the operator gave the platform is refused, too", async () => {
    const names = {
      functionDomain: "fn.example",
      publicUrl: "https://api.example",
      gatewayHosts: ["extra.example", "*"],
    };
    const second = await startGateway({ ...test.config, ...names }, test.connection, test.log);
    try {
      for (const name of ["fn.example", "x.fn.example", "shop.main.FN.example.", "api.example", "extra.example"]) {
        const response = await fetch(`http://127.0.0.1:${second.port}/v1/domains/${name}`, {
          method: "PUT",
          headers: { authorization: `Bearer ${test.key}`, "content-type": "application/json" },
          body: JSON.stringify({ function: "hello" }),
        });
        assert.equal(((await response.json()) as Body).error?.code, "INVALID_DOMAIN", name);
      }
    } finally {
      await second.stop();
    }
  });

  it("needs a function and an alias that are there", async () => {
    assert.deepEqual(codeOf(await add("a.example.com", { function: "nothing" })), [404, "FUNCTION_NOT_FOUND"]);
    const wish = { function: "hello", alias: "nothing" };
    assert.deepEqual(codeOf(await add("a.example.com", wish)), [404, "ALIAS_NOT_FOUND"]);
  });

  it("too many are refused, and one that is there is not", async () => {
    for (const at of [1, 2, 3, 4]) assert.equal((await add(`d${at}.example.com`)).status, 201);
    assert.deepEqual(codeOf(await add("d5.example.com")), [409, "TOO_MANY_DOMAINS"]);
    assert.equal((await add("d4.example.com")).status, 200);
  });
});

describe("a proof", () => {
  it("by the DNS has the domain answer at once, and on other gateways soon", async () => {
    const second = await startGateway(test.config, test.connection, test.log);
    try {
      await claim("shop.example.com");
      const { status, body } = await verify("shop.example.com");
      assert.deepEqual([status, body.proven?.by], [200, "dns"], JSON.stringify(body));
      assert.equal(await answering("shop.example.com"), "hello");
      await eventually(
        async () => (await answering("shop.example.com", `http://127.0.0.1:${second.port}`)) === "hello",
      );
      assert.equal(await check("shop.example.com"), 200);
      // The record may go.
      dns.records.clear();
      assert.equal((await verify("shop.example.com")).status, 200);
      assert.equal((await remove("shop.example.com")).status, 204);
      assert.equal(await answering("shop.example.com"), 421);
      await eventually(async () => (await answering("shop.example.com", `http://127.0.0.1:${second.port}`)) === 421);
    } finally {
      await second.stop();
    }
  });

  it("may stand in pieces and beside other records, and is to be whole", async () => {
    const { record } = (await add("shop.example.com")).body;
    const [name, value] = [record.name, record.value];
    for (const wrong of [[[`${value} `]], [[value.slice(1)]], [[value.toUpperCase()]], [["v=spf1"]], []]) {
      dns.records.set(name, wrong);
      assert.deepEqual(codeOf(await verify("shop.example.com")), [409, "DOMAIN_NOT_PROVEN"], JSON.stringify(wrong));
    }
    dns.records.set(name, [["v=spf1"], [value.slice(0, 7), value.slice(7)]]);
    assert.equal((await verify("shop.example.com")).status, 200);
  });

  it("fails for the DNS's own reasons without a word about the record", async () => {
    await add("shop.example.com");
    dns.records.set("_sandpiper.shop.example.com", null);
    assert.deepEqual(codeOf(await verify("shop.example.com")), [503, "DOMAIN_LOOKUP_FAILED"]);
  });

  it("by another tenant's token is none", async () => {
    await claim("shop.example.com", { function: "web" }, other);
    await add("shop.example.com");
    assert.deepEqual(codeOf(await verify("shop.example.com")), [409, "DOMAIN_NOT_PROVEN"]);
  });

  it("takes the name from a claim, and never from a proof", async () => {
    await claim("shop.example.com", { function: "web" }, other);
    await claim("shop.example.com");
    assert.equal((await verify("shop.example.com")).status, 200);
    assert.deepEqual(codeOf(await verify("shop.example.com", {}, other)), [409, "DOMAIN_TAKEN"]);
    assert.equal((await list(other))[0]?.proven, null);
    // Removing a claim that lost takes nothing away.
    assert.equal((await remove("shop.example.com", other)).status, 204);
    assert.equal(await answering("shop.example.com"), "hello");
  });

  it("of two at once counts once", async () => {
    for (let round = 0; round < 5; round++) {
      await claim("shop.example.com", { function: "web" }, other);
      await claim("shop.example.com");
      const both = await Promise.all([verify("shop.example.com"), verify("shop.example.com", {}, other)]);
      assert.deepEqual(both.map(({ status }) => status).sort(), [200, 409]);
      assert.deepEqual([(await list())[0]?.proven, (await list(other))[0]?.proven].filter(Boolean).length, 1);
      await Promise.all([remove("shop.example.com"), remove("shop.example.com", other)]);
    }
  });

  it("by word is the operator's, who may take a domain from another", async () => {
    await claim("shop.example.com");
    await verify("shop.example.com");
    await add("shop.example.com", { function: "web" }, other);
    for (const proof of [{ verified: true }, { verified: true, take: true }]) {
      assert.deepEqual(codeOf(await verify("shop.example.com", proof, other)), [403, "NOT_OPERATOR"]);
    }
    const byOperator = (proof: unknown) => verify("shop.example.com", proof, test.key, "?tenant=other");
    assert.deepEqual(codeOf(await byOperator({ verified: true })), [409, "DOMAIN_TAKEN"]);
    assert.equal((await byOperator({ verified: true, take: true })).body.proven?.by, "operator");
    assert.equal((await list())[0]?.proven, null);
    assert.deepEqual(codeOf(await verify("shop.example.com", { take: true })), [400, "INVALID_REQUEST"]);
  });

  it("stays when the domain gets another function", async () => {
    await test.deploy("second");
    await claim("shop.example.com");
    await verify("shop.example.com");
    test.answer = ({ functionName }) => ({ body: Buffer.from(functionName) });
    try {
      assert.ok((await add("shop.example.com", { function: "second" })).body.proven);
      assert.equal(await answering("shop.example.com"), "second");
    } finally {
      test.answer = () => ({ body: Buffer.from("hello") });
    }
  });
});

describe("a domain", () => {
  it("of a function or alias that is gone answers 404, and says so in the list", async () => {
    await test.deploy("brief");
    const { body } = await request("PUT", "/v1/functions/brief/aliases/staging", {
      routes: [{ version: (await versionOf("brief")).slice(0, 12) }],
    });
    assert.ok(body, "an alias");
    await claim("a.example.com", { function: "brief" });
    await claim("b.example.com", { function: "brief", alias: "staging" });
    await Promise.all([verify("a.example.com"), verify("b.example.com")]);
    assert.deepEqual([await answering("a.example.com"), await answering("b.example.com")], ["hello", "hello"]);
    await request("DELETE", "/v1/functions/brief/aliases/staging");
    assert.deepEqual([await answering("a.example.com"), await answering("b.example.com")], ["hello", 404]);
    await request("DELETE", "/v1/functions/brief");
    assert.equal(await answering("a.example.com"), 404);
    const problems = (await list()).map(({ problem }) => problem);
    assert.deepEqual(problems, ["There is no function brief.", "There is no function brief."]);
    const { body: text } = await askHost(test.url, "a.example.com", "/");
    assert.doesNotMatch(text, /main|brief/);
    // The name waits for its function, and nobody else may have it.
    await test.deploy("brief");
    assert.equal(await answering("a.example.com"), "hello");
  });

  it("of a deleted tenant is free, and one of a suspended tenant stays", async () => {
    const { key } = await createKey(test.connection, "leaver");
    await request("PUT", "/v1/functions/web", deployment("web"), key);
    await claim("shop.example.com", { function: "web" }, key);
    assert.equal((await verify("shop.example.com", {}, key)).status, 200);
    await request("POST", "/v1/tenants/leaver/suspend");
    assert.equal(await answering("shop.example.com"), 403);
    assert.deepEqual(codeOf(await add("x.example.com", { function: "web" }, key)), [403, "TENANT_SUSPENDED"]);
    const { body } = await request("DELETE", "/v1/tenants/leaver");
    assert.equal((body as unknown as { removed: { domains: number } }).removed.domains, 1);
    await eventually(async () => (await answering("shop.example.com")) === 421);
    assert.equal(await test.connection.hlen("sp:domains"), 0);
    await claim("shop.example.com");
    assert.equal((await verify("shop.example.com")).status, 200);
  });

  it("of others is as none", async () => {
    await claim("shop.example.com");
    await verify("shop.example.com");
    assert.deepEqual(await list(other), []);
    const attempts = await Promise.all([verify("shop.example.com", {}, other), remove("shop.example.com", other)]);
    const controls = await Promise.all([verify("nobody.example.com", {}, other), remove("nobody.example.com", other)]);
    const said = (answers: { status: number; body: Body }[], name: string) =>
      answers.map(({ status, body }) => [status, body.error.code, body.error.message.replace(name, "")]);
    assert.deepEqual(said(attempts, "shop.example.com"), said(controls, "nobody.example.com"));
    for (const path of ["/v1/domains?tenant=main", "/v1/domains?tenant=nobody"]) {
      assert.deepEqual(codeOf(await request("GET", path, undefined, other)), [404, "TENANT_NOT_FOUND"]);
    }
    const away = await request("PUT", "/v1/domains/x.example.com?tenant=main", { function: "hello" }, other);
    assert.deepEqual(codeOf(away), [404, "TENANT_NOT_FOUND"]);
  });

  it("is for keys that see its function, and may deploy", async () => {
    await test.deploy("seen");
    const keyOf = async (wish: unknown) => (await request("POST", "/v1/keys", wish)).body.key;
    const [bound, reader] = [
      await keyOf({ scopes: ["deploy", "read"], functions: ["seen"] }),
      await keyOf({ scopes: ["read"] }),
    ];
    await claim("shop.example.com");
    assert.deepEqual(codeOf(await add("x.example.com", { function: "hello" }, bound)), [404, "FUNCTION_NOT_FOUND"]);
    assert.deepEqual(codeOf(await add("shop.example.com", { function: "seen" }, bound)), [409, "DOMAIN_TAKEN"]);
    assert.deepEqual(codeOf(await verify("shop.example.com", {}, bound)), [404, "DOMAIN_NOT_FOUND"]);
    assert.deepEqual(codeOf(await remove("shop.example.com", bound)), [404, "DOMAIN_NOT_FOUND"]);
    assert.deepEqual(await list(bound), []);
    assert.equal((await list(reader)).length, 1);
    assert.deepEqual(codeOf(await add("x.example.com", undefined, reader)), [403, "FORBIDDEN"]);
    assert.equal((await add("x.example.com", { function: "seen" }, bound)).status, 201);
    assert.deepEqual(
      (await list(bound)).map(({ name }) => name),
      ["x.example.com"],
    );
  });

  it("leaves its acts in the audit log, by its kept name", async () => {
    await claim("Shop.Example.com");
    await verify("shop.example.com");
    await remove("shop.example.com");
    const { body } = await request("GET", "/v1/audit?action=domain");
    const entries = (body as unknown as { entries: { action: string; target: string; outcome: string }[] }).entries;
    assert.deepEqual(
      entries.slice(-3).map(({ action, target, outcome }) => [action, target, outcome]),
      ["add", "verify", "remove"].map((act) => [`domain.${act}`, "shop.example.com", "ok"]),
    );
  });
});

describe("a proxy that gets certificates", () => {
  it("is told yes for functions and previews that are there, and no for all else", async () => {
    const version = await versionOf("hello");
    await request("PUT", "/v1/functions/hello/aliases/staging", { routes: [{ version }] });
    const there = ["hello.main.localhost", "HELLO.main.localhost.", "staging--hello.main.localhost"];
    const previews = [`${version.slice(0, 12)}--hello.main.localhost`];
    for (const name of [...there, ...previews]) assert.equal(await check(name), 200, name);
    const others = ["nothing.main.localhost", "hello.nobody.localhost", "main.localhost", "localhost", "127.0.0.1"];
    // Each way to write a version would cost a certificate.
    const ways = [`${version.slice(0, 11)}--hello.main.localhost`, `${version.slice(0, 40)}--hello.main.localhost`];
    const odd = ["hello.main.localhost:80", "", "*", "a b", "[::1]", "hello.main.localhost/", "evil.example"];
    for (const name of [...others, ...ways, ...odd]) assert.equal(await check(name), 404, name);
  });
});

it("the command line adds, verifies, lists and removes", async () => {
  const cli = (...args: string[]) =>
    runCommand(args, { cwd: "/", env: { SANDPIPER_URL: test.url, SANDPIPER_API_KEY: test.key } });
  const added = await cli("domain", "add", "shop.example.com", "hello");
  assert.equal(added.code, 0, added.stderr);
  const [, name = "", value = ""] = /^(\S+)\. TXT "([0-9a-f]{40})"\n$/.exec(added.stdout) ?? [];
  assert.equal((await cli("domain", "verify", "shop.example.com")).code, 7);
  dns.records.set(name, [[value]]);
  const verified = await cli("domain", "verify", "shop.example.com");
  assert.match(verified.stdout, /^http:\/\/shop\.example\.com:\d+\n$/);
  assert.match((await cli("domain", "list")).stdout, /^shop\.example\.com {2}hello {2}proven \S+ by dns\n$/);
  assert.equal((JSON.parse((await cli("domain", "list", "--json")).stdout) as Body[])[0]?.name, "shop.example.com");
  assert.match((await cli("info", "hello")).stdout, /^domains +shop\.example\.com$/m);
  const refused = await cli("domain", "remove", "shop.example.com");
  assert.match(refused.stderr, /needs --yes/);
  assert.equal((await cli("domain", "remove", "shop.example.com", "--yes")).code, 0);
  assert.deepEqual(await list(), []);
  const byOperator = await cli("domain", "add", "own.example.com", "web", "--tenant", "other", "--verified");
  assert.equal(byOperator.code, 0, byOperator.stderr);
  for (const words of [["add", "x.com"], ["list", "x.com"], ["remove"], ["add", "x.com", "a@"], ["nothing"]]) {
    assert.equal((await cli("domain", ...words)).code, 2, words.join(" "));
  }
});

async function versionOf(name: string): Promise<string> {
  const response = await test.api(`/v1/functions/${name}`);
  return ((await response.json()) as { version: string }).version;
}
