/** The charges of calls, by the worker that ran them. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { HOUR_MS, hourOf, noUsage, USAGE_COUNTERS } from "../../../functions/model/usage.ts";
import { readUsage } from "../../../functions/store/usage.ts";
import { UsageMeter } from "../../../worker/path/usage-meter.ts";
import { eventually } from "../../helpers/eventually.ts";
import { startRedis } from "../../helpers/redis.ts";
import { TestWorker } from "../../helpers/worker.ts";

let test: TestWorker;
before(async () => {
  test = await TestWorker.start();
});
after(() => test.stop());

/** What a function of `main` used until now, in the hours around this one. */
async function usageOf(functionName: string, redis = test.connection) {
  const fromMs = hourOf(Date.now()) - HOUR_MS;
  const sum = noUsage();
  for await (const one of readUsage(redis, "main", { fromMs, toMs: fromMs + 3 * HOUR_MS }))
    if (one.functionName === functionName) for (const counter of USAGE_COUNTERS) sum[counter] += one.counts[counter];
  return sum;
}

it("counts calls that ran, their processor time, memory and bodies", async () => {
  await test.deploy("echo", "export default async (request) => new Response(await request.arrayBuffer());");
  await test.deploy("broken", "throw new Error('at start');");
  const sizes = [0, 5, 20_000];
  const calls = [];
  for (const bytes of sizes) calls.push(await test.call("echo", { method: "POST", body: Buffer.alloc(bytes, "a") }));
  assert.equal((await test.call("broken")).outcome, "function_error");
  const records = [];
  for (const { id } of calls) records.push(await test.record(id));
  await eventually(async () => (await usageOf("echo")).calls === sizes.length);
  const used = await usageOf("echo");
  assert.deepEqual([used.bytesIn, used.bytesOut], [20_005, 20_005]);
  const cpuUs = records.reduce((sum, { cpuMs }) => sum + cpuMs * 1_000, 0);
  assert.ok(cpuUs > 0 && Math.abs(used.cpuUs - cpuUs) <= sizes.length, `${used.cpuUs} of ${cpuUs}`);
  const leastMibMs = records.reduce(
    (sum, { peakMemoryBytes, timing }) => sum + (peakMemoryBytes / 2 ** 20) * timing.handlerMs,
    0,
  );
  assert.ok(leastMibMs > 0 && used.memoryMibMs >= leastMibMs - sizes.length, `${used.memoryMibMs} of ${leastMibMs}`);
  assert.deepEqual(await usageOf("broken"), noUsage(), "its handler never began");
});

it("charges for the time that a call goes on after its reply", async () => {
  const source = `export default (_request, _env, ctx) => {
    ctx.waitUntil(new Promise((resolve) => setTimeout(resolve, 300)));
    return new Response("soon");
  };`;
  await test.deploy("later", source);
  const record = await test.record((await test.call("later")).id);
  await eventually(async () => (await usageOf("later")).calls === 1);
  const { memoryMibMs } = await usageOf("later");
  assert.ok(memoryMibMs >= (record.peakMemoryBytes / 2 ** 20) * 295, `${memoryMibMs}`);
});

it("writes what it counted once, also when Redis refused it before", async () => {
  const troubles: string[] = [];
  const redis = await startRedis();
  const connection = redis.connect();
  const options = { redis: connection, keepMs: HOUR_MS, onTrouble: (message: string) => void troubles.push(message) };
  const meter = new UsageMeter(options);
  const count = () =>
    meter.count({ tenant: "main", functionName: "a" }, { cpuUs: 1.5, memoryMibMs: 2, bytesIn: 3, bytesOut: 4 });
  count();
  await connection.config("SET", "maxmemory", "1");
  await meter.write();
  assert.match(troubles.join(), /could not be written/);
  await connection.config("SET", "maxmemory", "0");
  count();
  await Promise.all([meter.write(), meter.write()]);
  await meter.write();
  const expected = { calls: 2, cpuUs: 4, memoryMibMs: 4, bytesIn: 6, bytesOut: 8 };
  assert.deepEqual(await usageOf("a", connection), expected);
  await redis.stop();
});

it("writes the rest when the worker ends", async () => {
  const before = (await usageOf("echo")).calls;
  await test.call("echo", { method: "POST", body: "last" });
  await test.worker.drain();
  assert.equal((await usageOf("echo")).calls, before + 1);
});
