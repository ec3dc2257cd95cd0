/** Which functions have something kept for them, as `live` moves. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { Redis } from "ioredis";
import { wholly } from "../../../../functions/model/alias.ts";
import type { MinInstances } from "../../../../functions/model/provisions/min-instances.ts";
import type { Version } from "../../../../functions/model/version.ts";
import { moveAlias } from "../../../../functions/store/aliases.ts";
import { takeHold } from "../../../../functions/store/holds.ts";
import { PROVISION_CHANGES, readProvisions } from "../../../../functions/store/provisions/provisions.ts";
import { tellWarm, warmOf } from "../../../../functions/store/provisions/warm-states.ts";
import { Registry } from "../../../../functions/store/registry.ts";
import { beat } from "../../../../functions/store/workers.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { startRedis, type TestRedis } from "../../../helpers/redis.ts";

let server: TestRedis;
let redis: Redis;
let registry: Registry;
const heard: string[] = [];
before(async () => {
  server = await startRedis();
  redis = server.connect();
  registry = new Registry(redis);
  const subscriber = server.connect();
  await subscriber.subscribe(PROVISION_CHANGES);
  subscriber.on("message", (_channel: string, name: string) => void heard.push(name));
});
after(() => server.stop());

async function put(functionName: string, digit: string, minInstances?: MinInstances): Promise<Version> {
  const config = {
    name: functionName,
    entry: "index.ts",
    memoryMiB: 256,
    timeoutMs: 1,
    isolation: "instance",
    env: {},
  };
  const kept = { ...config, ...(minInstances !== undefined && { minInstances }) };
  const made = { bundle: "b".repeat(64), sourceMap: "c".repeat(64), bundleBytes: 1, createdAtMs: 1 };
  const ref = { tenant: "main", functionName, version: digit.repeat(64) };
  const version = { ...ref, config: kept, entry: "index.ts", files: [], ...made } as Version;
  await registry.putVersion(version);
  return version;
}
const wishes = async (functionName: string) =>
  (await readProvisions(redis)).find((one) => one.functionName === functionName)?.versions ?? null;

it("are those of the versions that live names, as long as it does", async () => {
  const [first, second, plain] = [await put("shop", "1", 2), await put("shop", "2", 3), await put("shop", "3")];
  await registry.deployFunction(first);
  const wish = { percent: 100, memoryMiB: 256, minInstances: 2 };
  assert.deepEqual(await wishes("shop"), [{ ...wish, version: first.version }]);
  const canary = { routes: [first, second].map(({ version }) => ({ version, percent: 50 })), sticky: null };
  await moveAlias(redis, first, { alias: "live", target: canary, kind: "set", by: "k" });
  assert.deepEqual(await wishes("shop"), [
    { ...wish, version: first.version, percent: 50 },
    { ...wish, version: second.version, percent: 50, minInstances: 3 },
  ]);
  await moveAlias(redis, first, { alias: "staging", target: wholly(plain.version), kind: "set", by: "k" });
  assert.equal((await wishes("shop"))?.length, 2, "other aliases have nothing kept");
  await registry.deployFunction(plain);
  assert.equal(await wishes("shop"), null);
  assert.equal(heard.filter((name) => name === "main/shop").length, 3, "each change was told");
});

it("keep a list of times as it was written", async () => {
  const list = [{ count: 1 }, { count: 5, cron: "*/5 8 * * 1-5", for: "10h", timezone: "Europe/Berlin" }];
  await registry.deployFunction(await put("timed", "1", list));
  assert.deepEqual((await wishes("timed"))?.[0]?.minInstances, list);
});

it("are gone with their function", async () => {
  await registry.deployFunction(await put("gone", "1", 1));
  assert.notEqual(await wishes("gone"), null);
  await registry.deleteFunction({ tenant: "main", functionName: "gone" });
  assert.equal(await wishes("gone"), null);
  await eventually(() => heard.filter((name) => name === "main/gone").length === 2);
});

it("are none of functions without a wish, and of those that a process holds", async () => {
  await registry.deployFunction(await put("zero", "1", 0));
  await takeHold(redis, { tenant: "main", functionName: "held" }, "holder", 60_000);
  await registry.deployFunction(await put("held", "1", 1), "holder");
  assert.deepEqual([await wishes("zero"), await wishes("held")], [null, null]);
  assert.ok(!heard.includes("main/zero"));
});

it("are told of by each worker that lives, and added up", async () => {
  const posture = { launcher: "fork", degraded: [] };
  for (const id of ["a", "b"]) {
    await beat(redis, { id, host: "h", pid: 1, startedAtMs: 1, running: 0, room: 1, posture });
  }
  const refs = [
    { tenant: "main", functionName: "shop" },
    { tenant: "main", functionName: "none" },
  ];
  await tellWarm(redis, "a", { "main/shop": { wanted: 2, ready: 2, problem: null } });
  await tellWarm(redis, "b", { "main/shop": { wanted: 1, ready: 0, problem: "it throws" } });
  await tellWarm(redis, "unknown", { "main/shop": { wanted: 5, ready: 5, problem: null } });
  assert.deepEqual(await warmOf(redis, refs), [
    { wanted: 3, ready: 2, problem: "it throws" },
    { wanted: 0, ready: 0, problem: null },
  ]);
  await tellWarm(redis, "b", {});
  assert.equal((await warmOf(redis, refs))[0]?.wanted, 2);
});
