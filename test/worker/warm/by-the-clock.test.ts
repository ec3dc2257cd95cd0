/** Instances that are kept warm at certain times, with a real pool and a clock of the test. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { warmOf } from "../../../functions/store/provisions/warm-states.ts";
import { Registry } from "../../../functions/store/registry.ts";
import { beat } from "../../../functions/store/workers.ts";
import { loadConfig } from "../../../infra/config.ts";
import type { Bundles } from "../../../worker/code/bundles.ts";
import { WarmKeeper } from "../../../worker/warm/warm-keeper.ts";
import { eventually } from "../../helpers/eventually.ts";
import { demandOf, poolOpener } from "../../helpers/pool.ts";
import { startRedis } from "../../helpers/redis.ts";

const openPool = poolOpener();
const WORKER = { id: "w", host: "h", pid: 1, startedAtMs: 1, running: 0, room: 8 };

it("are started when their time comes, and make way when it is over", async () => {
  const server = await startRedis();
  const redis = server.connect();
  const { pool } = openPool({ idleMs: 100 });
  const { version, bundle } = demandOf({ name: "office", version: "1".repeat(64) });
  const minInstances = [{ count: 1 }, { count: 3, cron: "0 8 * * 1-5", for: "10h", timezone: "Europe/Berlin" }];
  const registry = new Registry(redis);
  await registry.putVersion({ ...version, config: { ...version.config, minInstances } });
  await registry.deployFunction(version);
  let nowMs = Date.parse("2026-11-30T07:59:59.999+01:00");
  const keeper = new WarmKeeper({
    workerId: WORKER.id,
    parts: {
      ...{ redis, pool, onTrouble: (message) => assert.fail(message) },
      bundles: { get: async () => ({ version, bundle }) } as unknown as Bundles,
    },
    quotaDefaults: loadConfig({}).quotas,
    now: () => nowMs,
  });
  // What a worker tells counts while it lives.
  const beats = setInterval(() => void beat(redis, { ...WORKER, posture: { launcher: "fork", degraded: [] } }), 500);
  const isKept = (count: number) =>
    eventually(async () => {
      const [state] = await warmOf(redis, [version]);
      return state?.wanted === count && state.ready === count && pool.warm.of(version).ready === count;
    });
  try {
    keeper.start();
    await isKept(1);
    nowMs += 1;
    await isKept(3);
    nowMs = Date.parse("2026-11-30T18:00:00+01:00");
    await isKept(1);
  } finally {
    await keeper.close();
    clearInterval(beats);
    await server.stop();
  }
});
