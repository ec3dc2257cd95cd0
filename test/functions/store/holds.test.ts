import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, it } from "node:test";
import type { Redis } from "ioredis";
import type { Version } from "../../../functions/model/version.ts";
import { takeHold } from "../../../functions/store/holds.ts";
import { Registry } from "../../../functions/store/registry.ts";
import { eventually } from "../../helpers/eventually.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";

const LONG_MS = 600_000;

let server: TestRedis;
let redis: Redis;
let registry: Registry;
before(async () => {
  server = await startRedis();
  redis = server.connect();
  registry = new Registry(redis);
});
after(() => server.stop());

function version(functionName: string, digit: string): Version {
  return {
    ...{ tenant: "main", functionName, version: digit.repeat(64), entry: "index.ts" },
    config: { name: functionName, entry: "index.ts", memoryMiB: 128, isolation: "instance", timeoutMs: 1000, env: {} },
    files: [{ path: "index.ts", sha256: "0".repeat(64), bytes: 1 }],
    ...{ bundle: "b".repeat(64), sourceMap: "c".repeat(64), bundleBytes: 10, createdAtMs: 1 },
  };
}

async function deploy(functionName: string, digit: string, holder?: string): Promise<boolean> {
  await registry.putVersion(version(functionName, digit));
  return registry.deployFunction(version(functionName, digit), holder);
}

const ref = (functionName: string) => ({ tenant: "main", functionName });
const keysOf = (functionName: string) => [`sp:function:main:${functionName}`, `sp:versions:main:${functionName}`];

it("a name is held by one process, which alone deploys to it", async () => {
  const [holder, other] = [randomUUID(), randomUUID()];
  assert.equal(await takeHold(redis, ref("a"), holder, LONG_MS), false);
  assert.equal(await registry.getFunction(ref("a")), null);
  await Promise.all([
    assert.rejects(takeHold(redis, ref("a"), other, LONG_MS), { code: "NAME_HELD" }),
    assert.rejects(deploy("a", "1"), { code: "NAME_HELD" }),
    assert.rejects(deploy("a", "1", other), { code: "NAME_HELD" }),
  ]);
  assert.equal(await deploy("a", "1", holder), true);
  assert.equal(await takeHold(redis, ref("a"), holder, LONG_MS), true);
  assert.equal((await registry.getFunction(ref("a")))?.isHeld, true);
});

it("a function that is deployed for good is held by nobody", async () => {
  await deploy("b", "1");
  await assert.rejects(takeHold(redis, ref("b"), randomUUID(), LONG_MS), { code: "NAME_HELD" });
  assert.equal((await registry.getFunction(ref("b")))?.isHeld, false);
  for (const key of keysOf("b")) assert.equal(await redis.pttl(key), -1);
});

it("a held function expires with its versions, and its name leaves the list", async () => {
  const holder = randomUUID();
  await takeHold(redis, ref("c"), holder, LONG_MS);
  await deploy("c", "1", holder);
  for (const key of keysOf("c")) assert.ok((await redis.pttl(key)) > LONG_MS / 2);
  await takeHold(redis, ref("c"), holder, 1);
  await eventually(async () => (await redis.exists(...keysOf("c"))) === 0);
  assert.ok(!(await registry.listFunctions("main")).some(({ functionName }) => functionName === "c"));
  assert.equal(await redis.sismember("sp:functions:main", "c"), 0);
  await assert.rejects(deploy("c", "1", holder), { code: "NAME_HELD" });
  assert.equal(await registry.getFunction(ref("c")), null);
});

it("a held function is deleted by its holder, or by who names no holder", async () => {
  const holder = randomUUID();
  await takeHold(redis, ref("d"), holder, LONG_MS);
  await deploy("d", "1", holder);
  assert.equal(await registry.deleteFunction(ref("d"), randomUUID()), false);
  assert.equal(await registry.deleteFunction(ref("d"), holder), true);
  await takeHold(redis, ref("d"), holder, LONG_MS);
  await deploy("d", "1", holder);
  assert.equal(await registry.deleteFunction(ref("d")), true);
  assert.equal(await deploy("d", "1"), true);
  assert.equal(await registry.deleteFunction(ref("d"), holder), false);
});

it("versions that a held function has not run for a minute are dropped", async () => {
  const holder = randomUUID();
  await takeHold(redis, ref("e"), holder, LONG_MS);
  for (const digit of ["1", "2", "3"]) await deploy("e", digit, holder);
  const [, versions = ""] = keysOf("e");
  await redis.hset(versions, `${"1".repeat(64)}:unusedSinceMs`, Date.now() - 120_000);
  await redis.hset(versions, `${"1".repeat(64)}:noTemplateReason`, "why");
  await deploy("e", "4", holder);
  const left = (await registry.keptVersions(ref("e"))).map(({ version }) => version[0]).sort();
  assert.deepEqual(left, ["2", "3", "4"]);
  assert.ok(!(await redis.hkeys(versions)).some((field) => field.startsWith("1")));
});
