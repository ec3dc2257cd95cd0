/**
 * Two tenants of whom one tries to reach the other by everything that has a name or an id. Every
 * attempt is answered as one for something that does not exist, to the byte.
 */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { newInvocationId } from "../../../functions/model/invocation-id.ts";
import { sha256 } from "../../../functions/store/artifacts.ts";
import { appendLogs, recordInvocation, recordUnrun } from "../../../functions/store/logs.ts";
import { createKey } from "../../../functions/store/tenant.ts";
import { storeSpans } from "../../../functions/store/traces.ts";
import { deployment, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";
import { runCommand } from "../../helpers/in-process-cli.ts";

let test: TestGateway;
let victim: { key: string; keyId: string };
let attacker: { key: string; keyId: string };
const ids = { call: newInvocationId(Date.now()), unrun: newInvocationId(Date.now()), trace: "c".repeat(32) };
const noIds = { call: newInvocationId(Date.now()), unrun: newInvocationId(Date.now()), trace: "d".repeat(32) };
const SOURCE = Buffer.from("the victim's source");

before(async () => {
  test = await startTestGateway();
  const redis = test.connection;
  [victim, attacker] = [await createKey(redis, "victim"), await createKey(redis, "attacker")];
  const own = [
    await ask("PUT", "/v1/functions/treasure", victim.key, deployment("treasure")),
    await ask("PUT", "/v1/secrets/GOLD", victim.key, { value: "gold" }),
    await ask("PUT", "/v1/secrets/GEM?function=treasure", victim.key, { value: "gem" }),
  ];
  for (const { status } of own) assert.ok(status < 300);
  const call = { tenant: "victim", functionName: "treasure", version: "v", endedAtMs: Date.now() };
  await recordInvocation(redis, { ...call, id: ids.call, outcome: "timeout" } as never);
  await recordUnrun(redis, { ...call, id: ids.unrun, outcome: "platform_error" } as never);
  const line = { timeMs: 1, stream: "stdout", text: "treasure map", invocationId: null };
  await appendLogs(redis, { tenant: "victim", functionName: "treasure" }, [line as never]);
  await storeSpans(redis, [{ traceId: ids.trace, attributes: { "sandpiper.tenant": "victim" } } as never]);
});
after(() => test.stop());

/** An answer without what differs between any two. */
async function ask(method: string, path: string, key: string, body?: unknown) {
  const response = await fetch(test.url + path, {
    method,
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const fields = [...response.headers].filter(([name]) => !["date", "x-request-id", "content-length"].includes(name));
  const text = (await response.text()).replace(/"requestId":"[^"]+"/, "");
  return { status: response.status, fields, text };
}

interface Attempt {
  method: string;
  /** What is the victim's, and the same of what nobody has. */
  path: string;
  control: string;
  body?: unknown;
}

function attempts(): Attempt[] {
  const functions = ["", "/logs", "/logs?follow=1", "/versions", "/aliases", "/aliases/live", "/history"].map(
    (rest) => ({
      ...{ method: "GET", path: `/v1/functions/treasure${rest}`, control: `/v1/functions/nothing${rest}` },
    }),
  );
  const changes = ["events"].map((rest) => ({
    ...{ method: "POST", path: `/v1/functions/treasure/${rest}`, control: `/v1/functions/nothing/${rest}`, body: {} },
  }));
  const tenants = ["main", "victim"].flatMap((tenant): Attempt[] => [
    { method: "GET", path: `/v1/tenants/${tenant}`, control: "/v1/tenants/nobody" },
    { method: "DELETE", path: `/v1/tenants/${tenant}`, control: "/v1/tenants/nobody" },
    { method: "POST", path: `/v1/tenants/${tenant}/suspend`, control: "/v1/tenants/nobody/suspend" },
    { method: "POST", path: `/v1/tenants/${tenant}/resume`, control: "/v1/tenants/nobody/resume" },
    { method: "GET", path: `/v1/keys?tenant=${tenant}`, control: "/v1/keys?tenant=nobody" },
    {
      method: "POST",
      path: `/v1/keys?tenant=${tenant}`,
      control: "/v1/keys?tenant=nobody",
      body: { scopes: ["read"] },
    },
    { method: "GET", path: `/v1/audit?tenant=${tenant}`, control: "/v1/audit?tenant=nobody" },
    { method: "DELETE", path: `/v1/egress/${tenant}`, control: "/v1/egress/nobody" },
    {
      ...{ method: "POST", path: `/v1/egress/${tenant}`, control: "/v1/egress/nobody" },
      body: { list: "private", add: ["10.0.0.0/8"] },
    },
  ]);
  return [
    ...functions,
    ...changes,
    ...tenants,
    { method: "DELETE", path: "/v1/functions/treasure", control: "/v1/functions/nothing" },
    { method: "GET", path: `/v1/invocations/${ids.call}`, control: `/v1/invocations/${noIds.call}` },
    { method: "GET", path: `/v1/invocations/${ids.unrun}`, control: `/v1/invocations/${noIds.unrun}` },
    { method: "GET", path: `/v1/traces/${ids.trace}`, control: `/v1/traces/${noIds.trace}` },
    { method: "DELETE", path: "/v1/secrets/GOLD", control: "/v1/secrets/NONE" },
    { method: "DELETE", path: "/v1/secrets/GEM?function=treasure", control: "/v1/secrets/NONE?function=nothing" },
    { method: "DELETE", path: `/v1/keys/${victim.keyId}`, control: `/v1/keys/${"0".repeat(12)}` },
    {
      ...{ method: "POST", path: `/v1/keys/${victim.keyId}/rotate`, control: `/v1/keys/${"0".repeat(12)}/rotate` },
      body: { overlapMs: 0 },
    },
  ];
}

/** Words of the victim's and of nobody's, as one. */
function plain(text: string): string {
  const pairs: [string, string][] = [
    ...[
      ["treasure", "nothing"],
      ["GOLD", "NONE"],
      ["GEM", "NONE"],
      ["victim", "nobody"],
      ["main", "nobody"],
    ],
    [victim.keyId, "0".repeat(12)],
  ] as [string, string][];
  return pairs.reduce((said, [own, none]) => said.replaceAll(own, none), text);
}

it("is answered as for what does not exist, whatever it asks for", async () => {
  for (const { method, path, control, body } of attempts()) {
    const [tried, none] = await Promise.all([path, control].map((one) => ask(method, one, attacker.key, body)));
    assert.equal(tried?.status, 404, `${method} ${path}: ${tried?.text}`);
    assert.deepEqual({ ...tried, text: plain(tried?.text ?? "") }, none, `${method} ${path}`);
  }
});

it("sees nothing of the other in any list", async () => {
  const lists = ["functions", "secrets", "tenants", "keys", "egress"].map((list) => `/v1/${list}`);
  for (const path of [...lists, "/v1/secrets?function=treasure", "/v1/whoami"]) {
    const { status, text } = await ask("GET", path, attacker.key);
    assert.equal(status, 200);
    for (const word of ["treasure", "GOLD", "GEM", "victim", victim.keyId]) assert.ok(!text.includes(word), path);
  }
  // Its own attempts are there, with the names that it tried.
  const { entries } = JSON.parse((await ask("GET", "/v1/audit", attacker.key)).text) as {
    entries: { keyId: string }[];
  };
  assert.ok(entries.every(({ keyId }) => keyId === attacker.keyId));
});

it("finds no file of the other's, and deploys none", async () => {
  const { FileArtifactStore } = await import("../../../functions/store/artifacts.ts");
  await new FileArtifactStore(test.artifactsDir).sourcesOf("victim").put(SOURCE);
  const digest = sha256(SOURCE);
  const asked = await ask("POST", "/v1/sources/missing", attacker.key, { sha256: [digest] });
  assert.equal(asked.text, JSON.stringify({ missing: [digest] }));
  const theft = { ...deployment("theft"), files: [{ path: "index.ts", sha256: digest }] };
  const none = { ...deployment("theft"), files: [{ path: "index.ts", sha256: "e".repeat(64) }] };
  const [tried, control] = await Promise.all(
    [theft, none].map((body) => ask("PUT", "/v1/functions/theft", attacker.key, body)),
  );
  assert.equal(tried?.status, 409);
  assert.deepEqual(tried, control);
});

it("takes names for its own alone, and leaves the other's as they are", async () => {
  assert.equal((await ask("PUT", "/v1/functions/treasure", attacker.key, deployment("treasure"))).status, 201);
  assert.equal((await ask("PUT", "/v1/secrets/GOLD", attacker.key, { value: "brass" })).status, 200);
  assert.equal((await ask("DELETE", "/v1/functions/treasure", attacker.key)).status, 204);
  assert.equal((await ask("GET", "/v1/functions/treasure", victim.key)).status, 200);
  assert.equal((await ask("GET", `/v1/invocations/${ids.call}`, victim.key)).status, 200);
  assert.match((await ask("GET", "/v1/functions/treasure/logs", victim.key)).text, /treasure map/);
  assert.match((await ask("GET", "/v1/secrets", victim.key)).text, /GOLD.*GEM|GEM.*GOLD/);
  assert.equal((await ask("GET", "/v1/whoami", victim.key)).status, 200);
});

it("is told no more by the command line", async () => {
  const env = { SANDPIPER_URL: test.url, SANDPIPER_API_KEY: attacker.key };
  for (const [command, name, none] of [
    ["calls", ids.call, noIds.call],
    ["logs", "treasure", "nothing"],
    ["info", "treasure", "nothing"],
  ] as const) {
    const args = command === "calls" ? ["calls", "show"] : [command];
    const [tried, control] = await Promise.all(
      [name, none].map((one) => runCommand([...args, one], { cwd: "/", env })),
    );
    const said = (text = "") => plain(text).replaceAll(/request id: .*/g, "");
    assert.deepEqual([tried?.code, said(tried?.stderr)], [6, said(control?.stderr)]);
  }
});
