/** Collections over the control API, and deployments beside them. */
import assert from "node:assert/strict";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { collectionSchema } from "../../../functions/api/schemas.ts";
import type { BuildResult } from "../../../functions/model/build.ts";
import { packSources } from "../../../functions/model/sources.ts";
import { FileArtifactStore, sha256 } from "../../../functions/store/artifacts.ts";
import { Collector } from "../../../functions/store/gc.ts";
import { Registry } from "../../../functions/store/registry.ts";
import { createKey, makeOperatorKey } from "../../../functions/store/tenant.ts";
import { deployment, startTestGateway, type TestGateway } from "../../helpers/gateway.ts";

let test: TestGateway;
let artifacts: FileArtifactStore;
before(async () => {
  test = await startTestGateway({ keepVersions: 0, keepVersionsMs: 0, gcGraceMs: 0 });
  await makeOperatorKey(test.connection, test.key.split("_")[1] ?? "");
  artifacts = new FileArtifactStore(test.artifactsDir);
});
after(() => test.stop());

async function gc(query = "", headers: Record<string, string> = {}) {
  const response = await test.api(`/v1/gc${query}`, { method: "POST", headers });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

it("tells a tenant which of its versions went, and of no other's", async () => {
  const { key } = await createKey(test.connection, "other");
  const theirs = { authorization: `Bearer ${key}` };
  const first = (await (await test.deploy("f")).json()) as { version: string };
  await test.deploy("f", { timeoutMs: 77 });
  for (const timeoutMs of [1, 2]) {
    const body = JSON.stringify(deployment("g", { timeoutMs }));
    const headers = { "content-type": "application/json", ...theirs };
    await test.api("/v1/functions/g", { method: "PUT", body, headers });
  }
  const headers = { "content-type": "application/octet-stream" };
  const packed = packSources([{ path: sha256(Buffer.from("left")), bytes: Buffer.from("left") }]);
  await test.api("/v1/sources", { method: "POST", body: packed as Uint8Array<ArrayBuffer>, headers });
  const dry = collectionSchema.parse((await gc("?dryRun=1")).body);
  assert.deepEqual(
    [dry.dryRun, dry.versions.map(({ name, version }) => [name, version])],
    [true, [["f", first.version]]],
  );
  const real = collectionSchema.parse((await gc("", theirs)).body);
  assert.deepEqual(
    real.versions.map(({ name }) => name),
    ["g"],
  );
  const registry = new Registry(test.connection);
  assert.equal(await registry.getVersion({ tenant: "main", functionName: "f", version: first.version }), null);
  // Of files, which are everybody's, operators alone are told.
  assert.deepEqual([real.setAside, real.waiting, real.removed], [undefined, undefined, undefined]);
  assert.ok((dry.setAside?.files ?? 0) > 0 && (dry.setAside?.bytes ?? 0) > 0, "no source file would be set aside");
});

it("is refused while another runs, and with a query that means nothing", async () => {
  await test.connection.set("sp:gc:lock", "another's");
  const { status, body } = await gc();
  await test.connection.del("sp:gc:lock");
  assert.deepEqual([status, (body.error as { code: string }).code], [409, "GC_RUNNING"]);
  assert.equal((await gc("?dryRun=yes")).status, 400);
});

const bundle = (text: string): Promise<string> => artifacts.put(Buffer.from(text));
const collect = () => {
  const limits = { keepVersions: 10, keepVersionsMs: 3_600_000, graceMs: 0 };
  return new Collector({ ...{ redis: test.connection, registry: new Registry(test.connection) }, artifacts, limits });
};

it("takes a bundle before its version is kept, and the deployment builds it again", async () => {
  let builds = 0;
  test.build = async (): Promise<BuildResult> => {
    builds++;
    const built = { bundle: await bundle("late"), sourceMap: await bundle("late map") };
    // Set aside, seen as that, and removed: as slow as that no gateway is.
    if (builds === 1) for (let round = 0; round < 3; round++) await collect().collect({ dryRun: false });
    return { ok: true, ...built, bundleBytes: 4, warnings: [] };
  };
  assert.equal((await test.deploy("late")).status, 201);
  assert.equal(builds, 2);
  assert.ok(await artifacts.has(await bundle("late")));
});

it("takes a version that is deployed again, and it is there for its function all the same", async () => {
  test.build = async () => ({
    ...{ ok: true, bundle: await bundle("again"), sourceMap: await bundle("again map") },
    ...{ bundleBytes: 5, warnings: [] },
  });
  await test.deploy("again");
  await test.deploy("again", { timeoutMs: 77 });
  await gc();
  const { version } = (await (await test.deploy("again")).json()) as { version: string };
  const state = await new Registry(test.connection).getFunction({ tenant: "main", functionName: "again" });
  assert.equal(state?.version.version, version);
  assert.ok(await artifacts.has(state?.version.bundle ?? ""));
});

it("is not waited for when what was built is nowhere in the store: that is said", async () => {
  test.build = async () => ({
    ...{ ok: true, bundle: "d".repeat(64), sourceMap: "e".repeat(64), bundleBytes: 1, warnings: [] },
  });
  const response = await test.deploy("nowhere");
  const { error } = (await response.json()) as { error: { code: string } };
  assert.deepEqual([response.status, error.code], [503, "BUNDLE_LOST"]);
});

it("leaves a store alone that another Redis uses, and says which file to remove", async () => {
  await artifacts.addUser("another");
  const { status, body } = await gc();
  const { code, message } = body.error as { code: string; message: string };
  assert.deepEqual([status, code], [409, "ARTIFACT_STORE_MISMATCH"]);
  const file = join(test.artifactsDir, "redis-another");
  assert.ok(message.endsWith(`remove ${file}.`), message);
  await rm(file);
  assert.equal((await gc()).status, 200);
  assert.equal((await readdir(test.artifactsDir)).filter((name) => name.startsWith("redis-")).length, 1);
});
