/** What functions declare to connect to, against what an operator grants their tenant. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { recordInvocation } from "../../../functions/store/logs.ts";
import { createKey, makeOperatorKey } from "../../../functions/store/tenant.ts";
import { deployment, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { runCommand } from "../../helpers/in-process-cli.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const base = tempDir();
let test: TestGateway;
/** The key of the tenant "other". */
let other: string;
before(async () => {
  test = await startTestGateway({ egress: { allow: "public", deny: ["denied.example.com:*"] } });
  ({ key: other } = await createKey(test.connection, "other"));
  await makeOperatorKey(test.connection, test.key.split("_")[1] ?? "");
});
after(() => test.stop());
beforeEach(async () => {
  await Promise.all(["main", "other"].map((tenant) => request("DELETE", `/v1/egress/${tenant}`)));
});

/** What the tests look at of all answers together. */
interface Answer {
  version: string;
  operator: boolean;
  config: { egress: unknown };
  egress: { added: string[]; removed: string[] };
  error: { code: string; message: string };
  default: unknown;
  tenants: { tenant: string }[];
  grants: { allow: string[] | null };
  refused: { name: string }[];
}

async function request(method: string, path: string, body?: unknown, key = test.key) {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const response = await fetch(test.url + path, {
    method,
    headers,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Answer };
}
const deploy = (name: string, egress: unknown[], key = test.key) =>
  request("PUT", `/v1/functions/${name}`, deployment(name, { egress }), key);
const grant = (tenant: string, list: string, ...add: string[]) =>
  request("POST", `/v1/egress/${tenant}`, { list, add });
const cli = (args: string[], key = test.key) =>
  runCommand(args, { cwd: base, env: { SANDPIPER_URL: test.url, SANDPIPER_API_KEY: key } });

describe("a deployment", () => {
  it("keeps its rules in one form, and says what is new and what is gone", async () => {
    const first = await deploy("shop", ["API.stripe.com:443", "db.example.com:5432"]);
    assert.equal(first.status, 201, JSON.stringify(first.body));
    assert.deepEqual(first.body.egress, { added: ["api.stripe.com", "db.example.com:5432"], removed: [] });
    const second = await deploy("shop", ["api.stripe.com", "a.com:80"]);
    assert.deepEqual(second.body.egress, { added: ["a.com:80"], removed: ["db.example.com:5432"] });
    const again = await deploy("shop", [{ to: "A.com:80" }, "api.stripe.com:443"]);
    assert.equal(again.body.version, second.body.version);
    assert.deepEqual(again.body.egress, { added: [], removed: [] });
    const { body: info } = await request("GET", "/v1/functions/shop");
    assert.deepEqual(info.config.egress, ["a.com:80", "api.stripe.com"]);
    assert.deepEqual((await deploy("shop", [])).body.egress.removed, ["a.com:80", "api.stripe.com"]);
  });

  it("keeps what is injected in one form", async () => {
    const entry = { to: "A.com", inject: { "X-Key": "{{secrets.A}}" }, methods: ["POST", "GET"] };
    const { status, body } = await deploy("inject", [entry]);
    assert.equal(status, 201, JSON.stringify(body));
    assert.deepEqual(body.egress, { added: ["a.com"], removed: [] });
    const { body: info } = await request("GET", "/v1/functions/inject");
    assert.deepEqual(info.config.egress, [
      { to: "a.com", inject: { "x-key": "{{secrets.A}}" }, methods: ["GET", "POST"] },
    ]);
  });

  it("is refused what its tenant is not granted, with the rule and the operator's command", async () => {
    const refused = await deploy("priv", ["api.stripe.com", "10.0.0.5:5432"]);
    assert.equal(refused.status, 403);
    assert.equal(refused.body.error.code, "EGRESS_NOT_GRANTED");
    assert.match(
      refused.body.error.message,
      /"10\.0\.0\.5:5432".*10\.0\.0\.0\/8.*: sandpiper egress private main 10\.0\.0\.5$/,
    );
    assert.match((await deploy("priv", ["denied.example.com"])).body.error.message, /is denied/);
    assert.equal((await request("GET", "/v1/functions/priv")).status, 404);
    await grant("main", "private", "10.0.0.5");
    assert.equal((await deploy("priv", ["10.0.0.5:5432"])).status, 201);
    assert.equal((await deploy("priv", ["10.0.0.5:5432"], other)).status, 403);
  });
});

describe("/v1/egress", () => {
  it("changes the lists of a tenant, and says what is out of force by that", async () => {
    await deploy("mail", ["smtp.example.com:587", "api.stripe.com"]);
    const allowed = await grant("main", "allow", "API.stripe.com", "*.amazonaws.com:*");
    assert.equal(allowed.status, 200, JSON.stringify(allowed.body));
    assert.deepEqual(allowed.body.grants, {
      ...{ tenant: "main", allow: ["*.amazonaws.com:*", "api.stripe.com"], deny: [], private: [] },
    });
    const refused = allowed.body.refused.filter(({ name }) => name === "mail");
    assert.deepEqual(refused, [{ name: "mail", rule: "smtp.example.com:587", reason: "main is not allowed it" }]);
    const fewer = await request("POST", "/v1/egress/main", { list: "allow", remove: ["api.stripe.com"] });
    assert.deepEqual(fewer.body.grants.allow, ["*.amazonaws.com:*"]);
    const none = await request("POST", "/v1/egress/main", { list: "allow", clear: true });
    assert.deepEqual(none.body.grants.allow, []);
    assert.equal((await deploy("mail", ["api.stripe.com"])).status, 403);
    const reset = await request("DELETE", "/v1/egress/main");
    assert.equal(reset.body.grants.allow, null);
  });

  it("is the operator's to change, and a tenant's own to see", async () => {
    await grant("other", "deny", "x.com");
    await grant("main", "private", "10.0.0.0/8");
    const everything = await request("GET", "/v1/egress");
    assert.deepEqual(everything.body.default, { allow: "public", deny: ["denied.example.com:*"] });
    assert.deepEqual(
      everything.body.tenants.map(({ tenant }) => tenant),
      ["main", "other"],
    );
    const own = await request("GET", "/v1/egress", undefined, other);
    assert.deepEqual(own.body.tenants, [{ tenant: "other", allow: null, deny: ["x.com"], private: [] }]);
    for (const [method, body] of [
      ["POST", { list: "deny", clear: true }],
      ["DELETE", undefined],
    ] as const) {
      const refused = await request(method, "/v1/egress/other", body, other);
      assert.equal(refused.status, 403);
      assert.equal(refused.body.error.code, "NOT_OPERATOR");
    }
    assert.equal((await request("GET", "/v1/whoami")).body.operator, true);
    assert.equal((await request("GET", "/v1/whoami", undefined, other)).body.operator, false);
  });

  it("names each rule that is none", async () => {
    const { status, body } = await grant("main", "allow", "a.com", "https://b.com/");
    assert.equal(status, 400);
    assert.match(body.error.message, /^add\.1: it is a URL; .*"b\.com"/);
    assert.match((await grant("main", "private", "8.8.8.8")).body.error.message, /^add\.0: "8\.8\.8\.8" is public/);
    assert.equal((await request("POST", "/v1/egress/NO", { list: "deny" })).status, 400);
    const many = Array.from({ length: 100 }, (_, i) => `a${i}.com`);
    assert.equal((await grant("main", "deny", ...many)).status, 200);
    assert.match(
      (await grant("main", "deny", ...many.map((name) => `b.${name}`))).body.error.message,
      /200 rules; .*128/,
    );
  });
});

describe("sandpiper egress", () => {
  it("grants, shows and resets, and warns of what is out of force", async () => {
    await deploy("shop", ["db.example.com:5432"]);
    const allowed = await cli(["egress", "allow", "main", "api.stripe.com"]);
    assert.equal(allowed.code, 0, allowed.stderr);
    assert.equal(allowed.stdout, "main\n  allow    api.stripe.com\n");
    assert.match(
      allowed.stderr,
      /warning: shop declares db\.example\.com:5432, which is out of force: main is not allowed it/,
    );
    assert.equal((await cli(["egress", "private", "main", "10.0.0.0/8"])).code, 0);
    assert.equal((await cli(["egress", "private", "main", "DB.internal=10.1.0.0/16"])).code, 0);
    assert.equal((await cli(["egress", "deny", "main", "a.com", "--json"])).code, 0);
    const { stdout } = await cli(["egress", "list"]);
    const lines = [
      "main",
      "  allow    api.stripe.com",
      "  deny     a.com",
      "  private  10.0.0.0/8 db.internal=10.1.0.0/16",
      "",
    ];
    assert.equal(
      stdout,
      `all tenants without a list of their own: allow everything public, and deny denied.example.com:*\n${lines.join("\n")}`,
    );
    assert.match((await cli(["egress", "allow", "main", "api.stripe.com", "--remove"])).stdout, /allow {4}nothing/);
    assert.equal((await cli(["egress", "reset", "main"])).stdout, "main\n  the default\n");
    assert.equal((await cli(["egress", "list", "main"], other)).stdout.split("\n").length, 2);
  });

  it("says what is wrong with the command line, and who may not", async () => {
    for (const args of [
      ["egress", "permit", "main"],
      ["egress", "allow"],
      ["egress", "deny", "main"],
    ])
      assert.equal((await cli(args)).code, 2, args.join(" "));
    const refused = await cli(["egress", "allow", "other", "a.com"], other);
    assert.equal(refused.code, 5);
    assert.match(refused.stderr, /operator's API key/);
    const wrong = await cli(["egress", "allow", "main", "a.com:25"]);
    assert.match(wrong.stderr, /port 25 is refused/);
  });
});

describe("sandpiper calls show", () => {
  it("shows the connections of a call, as its record has them", async () => {
    const id = randomUUID();
    const more = { bytesUp: 5, bytesDown: 7, startedAtMs: 1_000, durationMs: 3 };
    const egress = {
      connections: [
        { host: "db.example.com", port: 5_432, address: "203.0.113.7", ...more, verdict: "kept" },
        { host: "a.com", ...more, verdict: "undeclared_name" },
      ],
      more: 3,
    };
    await recordInvocation(test.connection, {
      ...{ id, tenant: "main", functionName: "shop", version: "", outcome: "ok", status: 200, ran: "yes" },
      timing: { queueMs: 0, sandboxMs: 0, initMs: 0, handlerMs: 0 },
      ...{ cpuMs: 1, peakMemoryBytes: 1, startedAtMs: 1_000, endedAtMs: 2_000, egress },
    });
    const shown = (await cli(["calls", "show", id])).stdout;
    assert.match(shown, /^egress {4}db\.example\.com:5432 +203\.0\.113\.7 +up 5 B +down 7 B +3\.0 ms +kept/m);
    assert.match(shown, /^ {10}a\.com +up 5 B .*undeclared_name\n {10}and 3 more$/m);
    assert.deepEqual(JSON.parse((await cli(["calls", "show", id, "--json"])).stdout).egress, egress);
  });
});

describe("sandpiper deploy", () => {
  it("shows the rules that are new and gone, without a gateway all of them", async () => {
    const directory = mkdtempSync(join(base, "d-"));
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "index.ts"), "export default () => new Response()");
    const write = (egress: unknown) =>
      writeFileSync(join(directory, "sandpiper.jsonc"), JSON.stringify({ name: "shown", egress }));
    write(["B.com", "a.com:80"]);
    const dry = await cli(["deploy", directory, "--dry-run"]);
    assert.match(dry.stderr, /\negress: a\.com:80 b\.com\n$/);
    assert.deepEqual(JSON.parse((await cli(["deploy", directory, "--dry-run", "--json"])).stdout).egress, [
      "a.com:80",
      "b.com",
    ]);
    assert.match((await cli(["deploy", directory])).stderr, /\negress: \+ a\.com:80\negress: \+ b\.com\n/);
    write(["b.com", "c.com"]);
    assert.match((await cli(["deploy", directory])).stderr, /\negress: \+ c\.com\negress: - a\.com:80\n/);
    assert.match((await cli(["info", "shown"])).stdout, /^egress {4}b\.com, c\.com$/m);
    write(["10.0.0.5"]);
    const refused = await cli(["deploy", directory]);
    assert.equal(refused.code, 3);
    assert.match(refused.stderr, /sandpiper egress private main 10\.0\.0\.5/);
  });
});
