/**
 * Two tenants of whom one tries to reach the other by everything that has a name or an id. Every
 * attempt is answered as one for something that does not exist, to the byte.
 */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { newInvocationId } from "../../../functions/model/invocation-id.ts";
import { packSources } from "../../../functions/model/sources.ts";
import { sha256 } from "../../../functions/store/artifacts.ts";
import { appendLogs, recordInvocation, recordUnrun } from "../../../functions/store/logs.ts";
import { setQuotas } from "../../../functions/store/quotas.ts";
import { createKey, makeOperatorKey } from "../../../functions/store/tenant.ts";
import { storeSpans } from "../../../functions/store/traces.ts";
import { ROUTES } from "../../../gateway/control/route-table.ts";
import { type DnsServer, startDnsServer } from "../../helpers/dns-server.ts";
import { deployment, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { runCommand } from "../../helpers/in-process-cli.ts";

let test: TestGateway;
let dns: DnsServer;
let victim: { key: string; keyId: string };
let attacker: { key: string; keyId: string };
const ids = {
  ...{ call: newInvocationId(Date.now()), unrun: newInvocationId(Date.now()), trace: "c".repeat(32) },
  // An upload of the operator's.
  restore: "6a1d8a9c-1f0e-4c52-8f57-1f4f1a3b0c01",
  // Of the victim's function, once it is deployed, and of its domains.
  version: "",
  token: "",
};
const noIds = {
  ...{ call: newInvocationId(Date.now()), unrun: newInvocationId(Date.now()), trace: "d".repeat(32) },
  restore: "6a1d8a9c-1f0e-4c52-8f57-1f4f1a3b0c02",
  ...{ version: "f".repeat(64), token: "e".repeat(40) },
};
const SOURCE = Buffer.from("the victim's source");
const OTHER_SOURCE = Buffer.from("nobody's own source");
const HOLDER = "2f1e7a52-0b7e-4c0c-9d0a-0d9b6f5b7a11";

before(async () => {
  dns = await startDnsServer();
  test = await startTestGateway({ domains: { max: 100, resolver: dns.address } });
  const redis = test.connection;
  await makeOperatorKey(redis, test.key.split("_")[1] ?? "");
  [victim, attacker] = [await createKey(redis, "victim"), await createKey(redis, "attacker")];
  const asVictim = async (method: string, path: string, body?: unknown) => {
    const { status, text } = await ask(method, path, victim.key, body);
    assert.ok(status < 300, `${method} ${path}: ${text}`);
    return text;
  };
  const deployed = { ...deployment("treasure", { access: "signed" }), tag: "chart" };
  Object.assign(ids, JSON.parse(await asVictim("PUT", "/v1/functions/treasure", deployed)));
  await asVictim("PUT", "/v1/functions/treasure/aliases/vault", { routes: [{ version: ids.version }] });
  await asVictim("PUT", "/v1/secrets/GOLD", { value: "gold" });
  await asVictim("PUT", "/v1/secrets/GEM?function=treasure", { value: "gem" });
  await asVictim("POST", "/v1/functions/treasure/signed-urls", { path: "/", lifetimeMs: 60_000 });
  await asVictim("PUT", "/v1/functions/buried/hold", { holder: HOLDER, ttlMs: 600_000 });
  await asVictim("POST", "/v1/sources", packed(SOURCE));
  const call = { tenant: "victim", functionName: "treasure", version: "v", endedAtMs: Date.now() };
  await recordInvocation(redis, { ...call, id: ids.call, outcome: "timeout" } as never);
  await recordUnrun(redis, { ...call, id: ids.unrun, outcome: "platform_error" } as never);
  const line = { timeMs: 1, stream: "stdout", text: "treasure map", invocationId: null };
  await appendLogs(redis, { tenant: "victim", functionName: "treasure" }, [line as never]);
  await storeSpans(redis, [{ traceId: ids.trace, attributes: { "sandpiper.tenant": "victim" } } as never]);
  await setQuotas(redis, "victim", { callsPerSecond: 77 });
  await asVictim("PUT", "/v1/domains/gem.example.com", { function: "treasure" });
  const domain = JSON.parse(await asVictim("PUT", "/v1/domains/gold.example.com", { function: "treasure" }));
  ids.token = domain.record.value;
  for (const name of ["gold", "none"]) dns.records.set(`_sandpiper.${name}.example.com`, [[ids.token]]);
  await asVictim("POST", "/v1/domains/gold.example.com/verify", {});
  const sent = await ask("PUT", `/v1/restores/${ids.restore}?at=0`, test.key, Buffer.from("part"));
  assert.equal(sent.status, 200, sent.text);
  const own = await ask("PUT", "/v1/functions/own", attacker.key, deployment("own"));
  assert.equal(own.status, 201, own.text);
});
after(async () => {
  await test.stop();
  dns.close();
});

/** Files as an upload has them. */
function packed(bytes: Uint8Array): Uint8Array {
  return packSources([{ path: sha256(bytes), bytes }]);
}

/** An answer without what differs between any two. */
async function ask(method: string, path: string, key: string, body?: unknown, more: Record<string, string> = {}) {
  const isBytes = body instanceof Uint8Array;
  const type = isBytes ? "application/octet-stream" : "application/json";
  const response = await fetch(test.url + path, {
    method,
    headers: { authorization: `Bearer ${key}`, "content-type": type, ...more },
    ...(body !== undefined && { body: isBytes ? new Uint8Array(body) : JSON.stringify(body) }),
  });
  const fields = [...response.headers].filter(([name]) => !["date", "x-request-id"].includes(name));
  const text = (await response.text()).replace(/"requestId":"[^"]+"/, "");
  return { status: response.status, fields, text };
}

/** Something that the attacker asks for, in the victim's words. */
interface Attempt {
  /** Behind the route's own path. */
  path: string;
  body?: unknown;
  fields?: Record<string, string>;
  /** The status of the answer; 404 when it is not given. */
  status?: number;
  /** The body for the same of what nobody has, if it is not the body in nobody's words. */
  control?: unknown;
}

const at = (...paths: string[]): Attempt[] => paths.map((path) => ({ path }));
const asking = (status: number, ...attempts: Attempt[]): Attempt[] => attempts.map((one) => ({ status, ...one }));

/** Words of the victim's, and as long ones of nobody's. */
const words = (): readonly (readonly [string, string])[] => [
  ["treasure", "whatever"],
  ["buried", "absent"],
  ["vault", "shelf"],
  ["chart", "paper"],
  ["GOLD", "NONE"],
  ["GEM", "NIL"],
  ["gold.example.com", "none.example.com"],
  ["gem.example.com", "nil.example.com"],
  ["victim", "nobody"],
  ["main", "none"],
  ...(["version", "token", "call", "unrun", "trace", "restore"] as const).map(
    (name) => [ids[name], noIds[name]] as const,
  ),
  [victim.keyId, "0".repeat(12)],
  [sha256(SOURCE), sha256(OTHER_SOURCE)],
];

/** The same text about what nobody has. */
function plain(text: string): string {
  return words().reduce((said, [own, none]) => said.replaceAll(new RegExp(`\\b${own}\\b`, "g"), none), text);
}

const routes = (version: string) => ({ routes: [{ version }] });
const grants = { list: "private", add: ["10.0.0.0/8"] };
const ofTenants = (rest = "", body?: unknown): Attempt[] =>
  ["main", "victim"].map((tenant) => ({ path: `/${tenant}${rest}`, ...(body !== undefined && { body }) }));
const inQuery = (body?: unknown): Attempt[] =>
  ["main", "victim"].map((tenant) => ({ path: `?tenant=${tenant}`, ...(body !== undefined && { body }) }));

const PART = Buffer.from("part");
const ofUpload = (rest: string, body?: unknown): Attempt[] => [
  { path: `/${ids.restore}${rest}`, ...(body !== undefined && { body, control: body }) },
];

/**
 * What the attacker tries by each route: a new route needs a row. `path` goes behind what the route
 * has before its first parameter. Attempts that make something of the attacker's own are last.
 */
const ROWS: () => Record<string, readonly Attempt[]> = () => ({
  "GET /v1/whoami": asking(200, { path: "" }),
  "GET /v1/functions": asking(200, { path: "" }),
  "GET /v1/functions/{name}": at("/treasure", "/buried"),
  "DELETE /v1/functions/{name}": [...at("/treasure"), { path: "/buried", fields: { "x-sandpiper-holder": HOLDER } }],
  "POST /v1/functions/{name}/events": [{ path: "/treasure/events", body: {} }],
  "POST /v1/functions/{name}/signed-urls": [
    { path: "/treasure/signed-urls", body: { path: "/", lifetimeMs: 60_000 } },
    { path: "/own/signed-urls", body: { path: "/", lifetimeMs: 60_000, alias: "vault" } },
    { path: "/own/signed-urls", body: { path: "/", lifetimeMs: 60_000, alias: ids.version.slice(0, 12) } },
  ],
  "POST /v1/functions/{name}/signing-key/rotate": [{ path: "/treasure/signing-key/rotate", body: { overlapMs: 0 } }],
  "GET /v1/functions/{name}/logs": at(
    "/treasure/logs",
    "/treasure/logs?follow=1",
    `/treasure/logs?invocation=${ids.call}`,
  ),
  "GET /v1/functions/{name}/versions": at("/treasure/versions", "/buried/versions"),
  "GET /v1/functions/{name}/history": at("/treasure/history"),
  "GET /v1/functions/{name}/aliases": at("/treasure/aliases"),
  "GET /v1/functions/{name}/aliases/{alias}": at(
    "/treasure/aliases/live",
    "/treasure/aliases/vault",
    "/own/aliases/vault",
  ),
  "PUT /v1/functions/{name}/aliases/{alias}": [
    { path: "/treasure/aliases/mine", body: routes(ids.version) },
    { path: "/own/aliases/mine", body: routes(ids.version) },
    { path: "/own/aliases/mine", body: routes("chart") },
    { path: "/own/aliases/mine", body: routes(ids.version), fields: { "if-match": '"1"' } },
  ],
  "DELETE /v1/functions/{name}/aliases/{alias}": at("/treasure/aliases/vault", "/own/aliases/vault"),
  "POST /v1/functions/{name}/rollback": [
    { path: "/treasure/rollback", body: {} },
    { path: "/treasure/rollback", body: { version: ids.version } },
    { path: "/own/rollback", body: { version: ids.version } },
    { path: "/own/rollback", body: { version: "chart" } },
  ],
  "POST /v1/functions/{name}/promote": [
    { path: "/treasure/promote", body: {} },
    { path: "/own/promote", body: { from: "vault" } },
    { path: "/own/promote", body: { from: ids.version } },
  ],
  "POST /v1/sources/missing": asking(200, { path: "", body: { sha256: [sha256(SOURCE)] } }),
  "GET /v1/secrets": asking(200, { path: "" }, { path: "?function=treasure" }),
  "DELETE /v1/secrets/{secret}": at("/GOLD", "/GEM?function=treasure", "/GOLD?function=own"),
  "POST /v1/secrets/rewrap": asking(200, { path: "" }),
  "GET /v1/invocations/{id}": at(`/${ids.call}`, `/${ids.unrun}`),
  "GET /v1/traces/{traceId}": at(`/${ids.trace}`),
  "POST /v1/gc": asking(200, { path: "?dryRun=1" }),
  "GET /v1/egress": asking(200, { path: "" }),
  "POST /v1/egress/{tenant}": ofTenants("", grants),
  "DELETE /v1/egress/{tenant}": ofTenants(),
  "GET /v1/quotas": asking(200, { path: "" }),
  "GET /v1/quotas/{tenant}": ofTenants(),
  "POST /v1/quotas/{tenant}": ofTenants("", { limits: { callsPerSecond: 1 } }),
  "POST /v1/backup": asking(403, { path: "" }),
  "PUT /v1/restores/{restore}": asking(403, ...ofUpload("?at=4", PART), ...ofUpload("?at=0", PART)),
  "POST /v1/restores/{restore}": asking(403, ...ofUpload(""), ...ofUpload("?replace=1")),
  "DELETE /v1/restores/{restore}": asking(403, ...ofUpload("")),
  "GET /v1/domains": [{ path: "", status: 200 }, ...inQuery()],
  "DELETE /v1/domains/{domain}": at("/gold.example.com", "/gem.example.com", "/gem.example.com?tenant=victim"),
  "GET /v1/usage": [...inQuery(), { path: "?function=treasure", status: 200 }],
  "GET /v1/tenants": asking(200, { path: "" }),
  "GET /v1/tenants/{tenant}": ofTenants(),
  "POST /v1/tenants": asking(403, { path: "", body: { tenant: "victim" } }),
  "POST /v1/tenants/{tenant}": ofTenants("", { weight: 2 }),
  "POST /v1/tenants/{tenant}/suspend": ofTenants("/suspend"),
  "POST /v1/tenants/{tenant}/resume": ofTenants("/resume"),
  "DELETE /v1/tenants/{tenant}": ofTenants(),
  "GET /v1/audit": inQuery(),
  "GET /v1/keys": inQuery(),
  "POST /v1/keys": inQuery({ scopes: ["read"] }),
  "POST /v1/keys/{keyId}/rotate": [
    { path: `/${victim.keyId}/rotate`, body: { overlapMs: 0 } },
    { path: `/${victim.keyId}/rotate?tenant=victim`, body: { overlapMs: 0 } },
  ],
  "DELETE /v1/keys/{keyId}": at(`/${victim.keyId}`, `/${victim.keyId}?tenant=victim`),
  "PUT /v1/domains/{domain}": [
    { path: "/gem.example.com", body: { function: "treasure" } },
    { path: "/gem.example.com", body: { function: "own", alias: "vault" } },
    { path: "/gem.example.com?tenant=victim", body: { function: "own" } },
    { path: "/gem.example.com?tenant=victim", body: { function: "treasure" } },
    { path: "/gold.example.com", body: { function: "own" }, status: 201 },
    { path: "/gold.example.com", body: { function: "treasure" } },
  ],
  "POST /v1/domains/{domain}/verify": [
    { path: "/gem.example.com/verify", body: {} },
    { path: "/gem.example.com/verify?tenant=victim", body: {} },
    { path: "/gem.example.com/verify", body: { verified: true }, status: 403 },
    { path: "/gem.example.com/verify", body: { verified: true, take: true }, status: 403 },
    // The one that it claims, too: the other's record is no proof.
    { path: "/gold.example.com/verify", body: {}, status: 409 },
    { path: "/gold.example.com/verify", body: { verified: true, take: true }, status: 403 },
  ],
  "PUT /v1/functions/{name}": [
    {
      path: "/theft",
      body: { ...deployment("theft"), files: [{ path: "index.ts", sha256: sha256(SOURCE) }] },
      status: 409,
    },
    { path: "/treasure", body: deployment("treasure"), fields: { "if-match": "*" }, status: 412 },
    { path: "/buried", body: deployment("buried"), fields: { "x-sandpiper-holder": HOLDER }, status: 409 },
    { path: "/treasure", body: deployment("treasure"), fields: { "if-none-match": "*" }, status: 201 },
  ],
  "POST /v1/sources": [{ path: "", body: packed(SOURCE), control: packed(OTHER_SOURCE), status: 204 }],
  "PUT /v1/functions/{name}/hold": [{ path: "/buried/hold", body: { holder: HOLDER, ttlMs: 60_000 }, status: 200 }],
  "PUT /v1/secrets/{secret}": asking(200, { path: "/GOLD", body: { value: "brass" } }),
});

/** An answer without digests and times, which differ between names, and from one to the next. */
function shape(answer: { status: number; fields: string[][]; text: string }) {
  const text = plain(answer.text)
    .replaceAll(/\b[0-9a-f]{12}(?:[0-9a-f]{28}|[0-9a-f]{52})?\b/g, "#")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "then")
    .replace(/"version":\d+/, "");
  return { ...answer, text };
}

it("has a row here for each route", () => {
  assert.deepEqual(Object.keys(ROWS()).sort(), Object.keys(ROUTES).sort());
});

it("is told no more by the command line", async () => {
  const env = { SANDPIPER_URL: test.url, SANDPIPER_API_KEY: attacker.key };
  for (const [command, name, none] of [
    ["calls", ids.call, noIds.call],
    ["logs", "treasure", "whatever"],
    ["info", "treasure", "whatever"],
  ] as const) {
    const args = command === "calls" ? ["calls", "show"] : [command];
    const [tried, control] = await Promise.all(
      [name, none].map((one) => runCommand([...args, one], { cwd: "/", env })),
    );
    const said = (text = "") => plain(text).replaceAll(/request id: .*/g, "");
    assert.deepEqual([tried?.code, said(tried?.stderr)], [6, said(control?.stderr)]);
  }
});

/** Tries a route with what is the victim's, and with what is nobody's. */
async function tryRoute(method: string, prefix: string, attempt: Attempt): Promise<void> {
  const { path, body, control, fields = {}, status = 404 } = attempt;
  const route = `${method} ${prefix}${path}`;
  const none = control ?? (body === undefined ? undefined : JSON.parse(plain(JSON.stringify(body))));
  const tried = await ask(method, prefix + path, attacker.key, body, fields);
  const expected = await ask(method, prefix + plain(path), attacker.key, none, fields);
  assert.equal(tried.status, status, `${route}: ${tried.text}`);
  assert.deepEqual(shape(tried), shape(expected), route);
  if (status < 300) noVictim(route, tried.text, path + JSON.stringify(body ?? ""));
}

/** Asks for the head of what a route answers, and what a page of another origin may ask for. */
async function tryMethods(method: string, prefix: string, { path, fields }: Attempt): Promise<void> {
  const headers = { ...fields, origin: "https://evil.example", "access-control-request-method": method };
  for (const other of method === "GET" ? ["HEAD", "OPTIONS"] : ["OPTIONS"]) {
    const tried = await ask(other, prefix + path, attacker.key, undefined, headers);
    const expected = await ask(other, prefix + plain(path), attacker.key, undefined, headers);
    assert.deepEqual(shape(tried), shape(expected), `${other} ${prefix}${path}`);
    assert.ok(!tried.fields.some(([name]) => name?.startsWith("access-control-")), `${other} ${prefix}${path}`);
  }
}

it("is answered as for what does not exist, whatever it asks for", async () => {
  for (const [route, attempts] of Object.entries(ROWS())) {
    const [method = "", whole = ""] = route.split(" ");
    const prefix = whole.replace(/\/\{.*$/, "");
    for (const attempt of attempts) {
      await tryRoute(method, prefix, attempt);
      await tryMethods(method, prefix, attempt);
    }
  }
  // Its own attempts alone are in its log.
  const { entries } = JSON.parse((await ask("GET", "/v1/audit", attacker.key)).text) as {
    entries: { keyId: string }[];
  };
  assert.ok(entries.every(({ keyId }) => keyId === attacker.keyId));
});

/** Nothing of the victim's is in an answer but what the attacker named. */
function noVictim(route: string, text: string, asked: string): void {
  const said = words().filter(([own]) => new RegExp(`\\b${own}\\b`).test(text) && !asked.includes(own));
  assert.deepEqual(said, [], `${route}: ${text}`);
}

it("has taken names for its own alone, and left the other's as they are", async () => {
  assert.equal((await ask("DELETE", "/v1/functions/treasure", attacker.key)).status, 204);
  const left = JSON.parse((await ask("GET", "/v1/functions/treasure", victim.key)).text);
  assert.equal(left.version, ids.version);
  assert.match((await ask("GET", "/v1/functions/treasure/aliases/vault", victim.key)).text, new RegExp(ids.version));
  assert.equal((await ask("GET", `/v1/invocations/${ids.call}`, victim.key)).status, 200);
  assert.match((await ask("GET", "/v1/functions/treasure/logs", victim.key)).text, /treasure map/);
  assert.match((await ask("GET", "/v1/secrets", victim.key)).text, /GOLD.*GEM|GEM.*GOLD/);
  const held = await ask("PUT", "/v1/functions/buried/hold", victim.key, { holder: HOLDER, ttlMs: 600_000 });
  assert.equal(held.status, 200);
  assert.match((await ask("GET", "/v1/quotas", victim.key)).text, /"callsPerSecond":77/);
  assert.equal((await ask("GET", "/v1/whoami", victim.key)).status, 200);
  const sent = await ask("PUT", `/v1/restores/${ids.restore}?at=4`, test.key, PART);
  assert.equal(sent.text, '{"bytes":8}');
});

it("cannot take a domain that another has proven, and finds out of none that is not", async () => {
  const { domains } = JSON.parse((await ask("GET", "/v1/domains", attacker.key)).text);
  const own = domains.find(({ name }: { name: string }) => name === "gold.example.com");
  assert.equal(own.proven, null);
  dns.records.set(own.record.name, [[own.record.value]]);
  const taken = await ask("POST", "/v1/domains/gold.example.com/verify", attacker.key, {});
  assert.equal(taken.status, 409);
  assert.match(taken.text, /"code":"DOMAIN_TAKEN"/);
  assert.equal((await ask("DELETE", "/v1/domains/gold.example.com", attacker.key)).status, 204);
  const check = (name: string) => ask("GET", `/v1/domains/check?domain=${name}`, attacker.key);
  assert.equal((await check("gold.example.com")).status, 200);
  assert.deepEqual(await check("gem.example.com"), await check("nil.example.com"));
  const left = JSON.parse((await ask("GET", "/v1/domains", victim.key)).text).domains;
  assert.deepEqual(
    left.map(({ name, function: target, proven }: Record<string, unknown>) => [name, target, proven !== null]),
    [
      ["gem.example.com", "treasure", false],
      ["gold.example.com", "treasure", true],
    ],
  );
});

const call = (path: string) => ask("GET", path, attacker.key);

it("finds no preview of the other's below its own names, and calls nothing with its own signatures", async () => {
  const signed = { ...deployment("own", { access: "signed" }) };
  assert.equal((await ask("PUT", "/v1/functions/own", attacker.key, signed)).status, 200);
  const wish = { path: "/", lifetimeMs: 60_000 };
  const { sharedUrl } = JSON.parse((await ask("POST", "/v1/functions/own/signed-urls", attacker.key, wish)).text);
  const signature = new URL(sharedUrl).search;
  assert.equal((await call(`/fn/attacker/own/${signature}`)).status, 200);
  const without = await call("/fn/victim/treasure/?sp-expires=1&sp-key=1&sp-signature=1");
  for (const name of ["treasure", "vault--treasure", `${ids.version.slice(0, 12)}--treasure`]) {
    const { status, text } = await call(`/fn/victim/${name}/${signature}`);
    assert.deepEqual([status, text], [403, without.text], name);
  }
  for (const [path, none] of [
    ["/fn/attacker/vault--treasure", "/fn/attacker/shelf--whatever"],
    [`/fn/attacker/${ids.version.slice(0, 12)}--own`, `/fn/attacker/${"f".repeat(12)}--own`],
  ] as const) {
    const [tried, expected] = [await call(path), await call(none)];
    assert.deepEqual([tried.status, expected.status], [404, 404], path);
  }
});
