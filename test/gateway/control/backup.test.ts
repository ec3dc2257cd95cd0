/** Backups over the control API, and their restores into another Sandpiper. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { packSources } from "../../../functions/model/sources.ts";
import { noUsage } from "../../../functions/model/usage.ts";
import { addKey } from "../../../functions/store/api-keys.ts";
import { FileArtifactStore, sha256 } from "../../../functions/store/artifacts.ts";
import { DataKeys } from "../../../functions/store/data-keys.ts";
import { DATA_FORM } from "../../../functions/store/form/form-steps.ts";
import { Registry } from "../../../functions/store/registry.ts";
import { SecretStore } from "../../../functions/store/secrets.ts";
import { createKey } from "../../../functions/store/tenant.ts";
import { addUsage } from "../../../functions/store/usage.ts";
import { backupOf, contentsOf, restoreInto, startOperated } from "../../helpers/backups.ts";
import { deployment, type TestGateway } from "../../helpers/gateway.ts";
import { masterKeysOf, newKeyLine } from "../../helpers/master-keys.ts";

const keyLine = newKeyLine();
const masterKeys = masterKeysOf(keyLine);
let source: TestGateway;
let target: TestGateway;
let file: Buffer;

const uploaded = sha256(Buffer.from("uploaded"));
const json = (value: unknown) => ({ body: JSON.stringify(value), headers: { "content-type": "application/json" } });

async function ok(response: Promise<Response>): Promise<Response> {
  const answer = await response;
  assert.ok(answer.ok, `${answer.status} ${answer.ok ? "" : await answer.text()}`);
  return answer;
}

/** All of this is restored as it is. */
const SAME = ["sp:function:", "sp:functions:", "sp:versions:", "sp:history:", "sp:secrets:", "sp:secretscopes:"];
const ALSO = [
  "sp:secretversions",
  "sp:datakeys:",
  "sp:signingkeys:",
  "sp:quotas",
  "sp:egress:grants",
  "sp:audit:still",
];

before(async () => {
  source = await startOperated(masterKeys);
  target = await startOperated(masterKeys, { empty: true });
  const { api } = source;
  await ok(source.deploy("hello", { env: { PLAIN: "plain" }, timeoutMs: 77 }));
  const { versions } = (await (await api("/v1/functions/hello/versions")).json()) as {
    versions: { version: string }[];
  };
  const routes = [
    { version: versions[0]?.version, percent: 90 },
    { version: versions[1]?.version, percent: 10 },
  ];
  await ok(
    api("/v1/functions/hello/aliases/stable", { method: "PUT", ...json({ routes: [{ ...routes[1], percent: 100 }] }) }),
  );
  const packed = packSources([{ path: uploaded, bytes: Buffer.from("uploaded") }]) as Uint8Array<ArrayBuffer>;
  const type = { "content-type": "application/octet-stream" };
  await ok(api("/v1/sources", { method: "POST", body: packed, headers: type }));
  const files = [{ path: "index.ts", sha256: uploaded }];
  await ok(api("/v1/functions/sent", { method: "PUT", ...json({ ...deployment("sent"), files }) }));
  await ok(source.deploy("signed", { access: "signed" }));
  await ok(api("/v1/functions/signed/signed-urls", { method: "POST", ...json({ path: "/", lifetimeMs: 60_000 }) }));
  await ok(api("/v1/secrets/SHARED", { method: "PUT", ...json({ value: "shared" }) }));
  await ok(api("/v1/secrets/OWN?function=hello", { method: "PUT", ...json({ value: "own" }) }));
  await ok(api("/v1/secrets/LATER?function=later", { method: "PUT", ...json({ value: "later" }) }));
  await ok(api("/v1/tenants", { method: "POST", ...json({ tenant: "acme" }) }));
  await ok(api("/v1/quotas/acme", { method: "POST", ...json({ limits: { callsPerSecond: 7 } }) }));
  await ok(api("/v1/egress/acme", { method: "POST", ...json({ list: "allow", add: ["*.example.com"] }) }));
  await ok(api("/v1/tenants", { method: "POST", ...json({ tenant: "still" }) }));
  await ok(api("/v1/tenants/still/suspend", { method: "POST" }));
  const usage = [
    {
      tenant: "acme",
      functionName: "f",
      hourMs: Math.floor(Date.now() / 3_600_000) * 3_600_000,
      counts: { ...noUsage(), calls: 3 },
    },
  ];
  await addUsage(source.connection, "writer", { number: 1, usage }, 86_400_000);
  file = await backupOf(source);
});
after(() => Promise.all([source.stop(), target.stop()]));

describe("a backup", () => {
  it("is made by nobody but the operator, who is noted", async () => {
    const { key } = await createKey(source.connection, "acme");
    const whole = { authorization: `Bearer ${key}` };
    const limited = {
      authorization: `Bearer ${(await addKey(source.connection, "acme", { scopes: ["read"], functions: null })).key}`,
    };
    const id = randomUUID();
    const asked: [string, string][] = [
      ["POST", "/v1/backup"],
      ["PUT", `/v1/restores/${id}?at=0`],
      ["POST", `/v1/restores/${id}`],
      ["DELETE", `/v1/restores/${id}`],
    ];
    for (const [method, path] of asked) {
      for (const [headers, code] of [
        [whole, "NOT_OPERATOR"],
        [limited, "FORBIDDEN"],
      ] as const) {
        const body = method === "PUT" ? { body: "x" } : {};
        const response = await source.api(path, { method, headers, ...body });
        const { error } = (await response.json()) as { error: { code: string } };
        assert.deepEqual([response.status, error.code], [403, code], `${method} ${path}`);
      }
    }
    const { entries } = (await (await source.api("/v1/audit?action=backup")).json()) as {
      entries: { operator: boolean; outcome: string }[];
    };
    assert.deepEqual(
      entries.map(({ operator, outcome }) => [operator, outcome]),
      [[true, "ok"]],
    );
  });

  it("has no secret in clear, and no master key", () => {
    for (const value of ["shared", "own", "plain", keyLine, source.key.split("_")[2] ?? ""]) {
      const texts = value === "own" || value === "shared" || value === "plain" ? [`"${value}"`] : [value];
      for (const text of texts) assert.ok(!file.includes(text), text);
    }
    assert.ok(file.includes(masterKeys.first.id));
  });

  it("gives another Sandpiper all that there is", async () => {
    const { status, body } = await restoreInto(target, file);
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(body.tenants, { acme: [], main: ["hello", "sent", "signed"], still: [] });
    const prefixes = [...SAME, ...ALSO];
    assert.deepEqual(await contentsOf(target, prefixes), await contentsOf(source, prefixes));
    assert.equal(await target.connection.get("sp:form"), String(DATA_FORM));
    const secrets = new SecretStore(target.connection, new DataKeys(target.connection, masterKeys));
    const ref = { tenant: "main", functionName: "hello", version: "" };
    assert.deepEqual(
      [...(await secrets.open(ref, ["OWN", "SHARED"])).values],
      [
        ["OWN", "own"],
        ["SHARED", "shared"],
      ],
    );
    const state = await new Registry(target.connection).getFunction(ref);
    assert.ok(state?.version.env);
    assert.deepEqual(await secrets.openEnv(state.version, state.version.env), { PLAIN: "plain" });
    const store = new FileArtifactStore(target.artifactsDir);
    assert.equal(String(await store.get(state.version.bundle)), "bundle");
    assert.equal(String(await store.sourcesOf("main").get(uploaded)), "uploaded");
    assert.equal((await fetch(`${target.url}/fn/main/hello/`)).status, 200);
    const theirs = await target.api("/v1/whoami", { headers: { authorization: `Bearer ${source.key}` } });
    assert.equal(((await theirs.json()) as { operator: boolean }).operator, false);
    assert.equal(((await (await target.api("/v1/whoami")).json()) as { operator: boolean }).operator, true);
    assert.equal(((await (await target.api("/v1/tenants/still")).json()) as { state: string }).state, "suspended");
    const { entries } = (await (await target.api("/v1/audit?action=restore")).json()) as { entries: object[] };
    assert.equal(entries.length, 1);
    assert.deepEqual(await target.connection.keys("sp:restoring:*"), []);
    const usage = await contentsOf(target, ["sp:usage:"]);
    assert.deepEqual(usage, await contentsOf(source, ["sp:usage:"]));
    const [usageKey = ""] = Object.keys(usage);
    assert.ok((await target.connection.pttl(usageKey)) > 0);
  });

  it("is refused where there is something, unless it may be replaced", async () => {
    const { status, code, message } = await restoreInto(target, file);
    assert.deepEqual([status, code], [409, "RESTORE_REFUSED"]);
    assert.match(message ?? "", /has 3 functions and 2 tenants and secrets already/);
    await ok(target.deploy("newer"));
    await ok(target.deploy("hello", { timeoutMs: 88 }));
    const acts = await target.connection.xlen("sp:operatoraudit");
    assert.equal((await restoreInto(target, file, "replace=1")).status, 200);
    assert.deepEqual(await contentsOf(target, SAME), await contentsOf(source, SAME));
    assert.equal((await fetch(`${target.url}/fn/main/newer/`)).status, 404);
    assert.ok((await target.connection.xlen("sp:operatoraudit")) > acts);
  });
});
