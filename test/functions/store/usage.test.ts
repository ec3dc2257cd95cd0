/** The use that functions made, as Redis keeps it. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { HOUR_MS, type HourUsage, hourOf, noUsage, type UsageCounts } from "../../../functions/model/usage.ts";
import { addUsage, readUsage } from "../../../functions/store/usage.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";

const NOW_MS = hourOf(Date.now());
const KEEP_MS = 24 * HOUR_MS;
let redis: TestRedis;
let connection: ReturnType<TestRedis["connect"]>;
before(async () => {
  redis = await startRedis();
  connection = redis.connect();
});
after(() => redis.stop());

const used = (functionName: string, counts: Partial<UsageCounts>, hourMs = NOW_MS, tenant = "main"): HourUsage => ({
  ...{ tenant, functionName, hourMs },
  counts: { ...noUsage(), ...counts },
});
async function read(tenant: string, fromMs = NOW_MS, toMs = NOW_MS + HOUR_MS): Promise<HourUsage[]> {
  const found: HourUsage[] = [];
  for await (const one of readUsage(connection, tenant, { fromMs, toMs })) found.push(one);
  return found;
}

it("adds up what several workers counted, and each batch once", async () => {
  const counts = { calls: 2, cpuUs: 1_500.4, memoryMibMs: 90, bytesIn: 10, bytesOut: 20 };
  const first = {
    number: 1,
    usage: [used("a", counts), used("b", { calls: 1 }), used("a", { calls: 7 }, NOW_MS, "other")],
  };
  await addUsage(connection, "one", first, KEEP_MS);
  await addUsage(connection, "one", first, KEEP_MS);
  await addUsage(connection, "two", { number: 1, usage: [used("a", counts)] }, KEEP_MS);
  await addUsage(connection, "one", { number: 2, usage: [used("b", { calls: 1 })] }, KEEP_MS);
  assert.deepEqual(await read("main"), [
    used("a", { calls: 4, cpuUs: 3_000, memoryMibMs: 180, bytesIn: 20, bytesOut: 40 }),
    used("b", { calls: 2 }),
  ]);
  assert.deepEqual(await read("other"), [used("a", { calls: 7 }, NOW_MS, "other")]);
});

it("keeps an hour for the time that is set, and gives the hours that are asked for", async () => {
  const hours = [NOW_MS - 300 * HOUR_MS, NOW_MS - HOUR_MS, NOW_MS];
  const usage = hours.map((hourMs, index) => used("late", { calls: index + 1 }, hourMs, "kept"));
  await addUsage(connection, "three", { number: 1, usage }, KEEP_MS + 300 * HOUR_MS);
  assert.deepEqual(await read("kept", NOW_MS - 400 * HOUR_MS), usage);
  assert.deepEqual(await read("kept", NOW_MS - HOUR_MS, NOW_MS), usage.slice(1, 2));
  const goesAtMs = await connection.pexpiretime(`sp:usage:kept:${NOW_MS / HOUR_MS}`);
  assert.equal(goesAtMs, NOW_MS + 302 * HOUR_MS + 23 * HOUR_MS);
  await addUsage(connection, "three", { number: 2, usage }, HOUR_MS);
  assert.equal(await connection.exists(`sp:usage:kept:${NOW_MS / HOUR_MS - 300}`), 0, "its time is over");
});
