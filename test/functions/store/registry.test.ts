import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, it } from "node:test";
import type { Redis } from "ioredis";
import { wholly } from "../../../functions/model/alias.ts";
import type { Version } from "../../../functions/model/version.ts";
import { moveAlias, readAliases, readHistory } from "../../../functions/store/aliases.ts";
import { REGISTRY_CHANGES, Registry } from "../../../functions/store/registry.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";

let server: TestRedis;
let redis: Redis;
let registry: Registry;
before(async () => {
  server = await startRedis();
  redis = server.connect();
  registry = new Registry(redis);
});
after(() => server.stop());

function version(tenant: string, functionName: string, digit: string): Version {
  return {
    tenant,
    functionName,
    version: digit.repeat(64),
    config: {
      name: functionName,
      entry: "index.ts",
      memoryMiB: 128,
      isolation: "instance" as const,
      timeoutMs: 1000,
      env: { KEY: "value" },
    },
    entry: "index.ts",
    files: [{ path: "index.ts", sha256: "0".repeat(64), bytes: 1 }],
    bundle: "b".repeat(64),
    sourceMap: "c".repeat(64),
    bundleBytes: 10,
    createdAtMs: 1,
  };
}

async function deploy(tenant: string, functionName: string, digit: string): Promise<boolean> {
  await registry.putVersion(version(tenant, functionName, digit));
  return registry.deployFunction(version(tenant, functionName, digit));
}

it("moves a function from version to version, and says when it is new", async () => {
  assert.equal(await deploy("main", "a", "1"), true);
  const first = await registry.getFunction({ tenant: "main", functionName: "a" });
  assert.deepEqual(first?.version, version("main", "a", "1"));
  assert.equal(await deploy("main", "a", "2"), false);
  const second = await registry.getFunction({ tenant: "main", functionName: "a" });
  assert.equal(second?.version.version, "2".repeat(64));
  assert.equal(second?.createdAtMs, first?.createdAtMs);
  assert.equal(await registry.currentVersion({ tenant: "main", functionName: "a" }), "2".repeat(64));
  assert.deepEqual(await registry.getVersion(version("main", "a", "1")), version("main", "a", "1"));
});

it("moves no function to a version that is not there, or is another's", async () => {
  await deploy("main", "b", "1");
  await assert.rejects(registry.deployFunction(version("main", "b", "3")), /no version/);
  await assert.rejects(registry.deployFunction(version("other", "b", "1")), /no version/);
  assert.equal(await registry.getFunction({ tenant: "other", functionName: "b" }), null);
});

it("keeps tenants apart", async () => {
  await deploy("one", "shared", "1");
  await deploy("two", "shared", "2");
  await deploy("one", "alpha", "1");
  const names = async (tenant: string) =>
    (await registry.listFunctions(tenant)).map(({ functionName }) => functionName);
  assert.deepEqual(await names("one"), ["alpha", "shared"]);
  assert.deepEqual(await names("two"), ["shared"]);
  assert.deepEqual(await names("three"), []);
  assert.equal(await registry.deleteFunction({ tenant: "two", functionName: "alpha" }), false);
  assert.equal(await registry.deleteFunction({ tenant: "two", functionName: "shared" }), true);
  assert.deepEqual(await names("one"), ["alpha", "shared"]);
});

it("forgets a function and its versions", async () => {
  await deploy("main", "gone", "1");
  assert.equal(await registry.deleteFunction({ tenant: "main", functionName: "gone" }), true);
  assert.equal(await registry.deleteFunction({ tenant: "main", functionName: "gone" }), false);
  assert.equal(await registry.getVersion(version("main", "gone", "1")), null);
  // Calls that were admitted before may still want them.
  assert.deepEqual(await registry.versionOfCall(version("main", "gone", "1")), version("main", "gone", "1"));
  assert.deepEqual(await redis.keys("*gone*"), ["sp:deletedversions:main:gone"]);
  assert.ok((await redis.pttl("sp:deletedversions:main:gone")) > 900_000);
});

it("tells gateways of every change", async () => {
  const listener = server.connect();
  await listener.subscribe(REGISTRY_CHANGES);
  const told = async () => (await once(listener, "message"))[1];
  let next = told();
  await deploy("main", "c", "1");
  assert.equal(await next, "main/c");
  next = told();
  await registry.deleteFunction({ tenant: "main", functionName: "c" });
  assert.equal(await next, "main/c");
});

it("keeps old versions that an alias names, and notes of others since when none does", async () => {
  for (const digit of ["1", "2"]) await deploy("main", "named", digit);
  const ref = { tenant: "main", functionName: "named" };
  const move = { alias: "old", kind: "set", by: "test" } as const;
  const unused = async () =>
    (await registry.keptVersions(ref)).flatMap((kept) => (kept.unusedSinceMs === null ? [] : [kept.version[0]]));
  assert.deepEqual(await unused(), ["1"]);
  await moveAlias(redis, ref, { ...move, target: wholly("1".repeat(64)) });
  assert.deepEqual(await unused(), []);
  await registry.putVersion(version("main", "named", "1"));
  assert.deepEqual(await unused(), []);
  await moveAlias(redis, ref, { ...move, target: null, kind: "delete" });
  assert.deepEqual(await unused(), ["1"]);
});

it("moves `live` beside a gateway of before there were aliases", async () => {
  for (const digit of ["1", "2", "3"]) await deploy("main", "older", digit);
  await redis.hset("sp:function:main:older", "version", "1".repeat(64));
  const ref = { tenant: "main", functionName: "older" };
  assert.deepEqual((await readAliases(redis, ref))?.[0]?.routes, wholly("1".repeat(64)).routes);
  await deploy("main", "older", "2");
  const [latest] = await readHistory(redis, ref);
  assert.equal(latest?.before?.routes[0]?.version, "1".repeat(64));
  const isUnused = (await registry.keptVersions(ref)).find((kept) => kept.version.startsWith("1"))?.unusedSinceMs;
  assert.notEqual(isUnused, null);
});
