import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { Redis } from "ioredis";
import {
  beat,
  degradedWalls,
  leave,
  listWorkers,
  WORKER_TTL_MS,
  type WorkerInfo,
} from "../../../functions/store/workers.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";

let server: TestRedis;
let redis: Redis;
before(async () => {
  server = await startRedis();
  redis = server.connect();
});
after(() => server.stop());

function worker(id: string): WorkerInfo {
  return { id, host: "h", pid: 1, startedAtMs: 1, posture: { launcher: "fork", degraded: [] }, running: 0, room: 3 };
}

it("lists the workers that beat, and none that left", async () => {
  assert.deepEqual(await listWorkers(redis), []);
  await beat(redis, worker("a"));
  await beat(redis, worker("b"));
  await beat(redis, { ...worker("a"), running: 2 });
  const listed = await listWorkers(redis);
  assert.deepEqual(
    listed.sort((x, y) => (x.id < y.id ? -1 : 1)),
    [{ ...worker("a"), running: 2 }, worker("b")],
  );
  await leave(redis, "a");
  assert.deepEqual(await listWorkers(redis), [worker("b")]);
});

it("drops no neighbour of a worker whose clock is wrong", async (t) => {
  await beat(redis, worker("right"));
  for (const offMs of [3_600_000, -3_600_000]) {
    const nowMs = Date.now() + offMs;
    t.mock.method(Date, "now", () => nowMs);
    await beat(redis, worker("wrong"));
    t.mock.restoreAll();
    await beat(redis, worker("other"));
    const ids = (await listWorkers(redis)).map(({ id }) => id);
    assert.deepEqual(ids.filter((id) => id !== "b").sort(), ["other", "right", "wrong"]);
  }
  for (const id of ["right", "wrong", "other"]) await leave(redis, id);
});

it("says which walls sandboxes of some worker do without", () => {
  const lacking = (...degraded: string[]) => ({ ...worker("a"), posture: { launcher: "fork", degraded } });
  assert.deepEqual(degradedWalls([]), []);
  assert.deepEqual(degradedWalls([lacking("swap-limit"), lacking(), lacking("landlock", "swap-limit")]), [
    "landlock",
    "swap-limit",
  ]);
});

it("takes a worker for dead when its beat expires", async () => {
  await beat(redis, worker("c"));
  const left = await redis.pttl("sp:worker:c");
  assert.ok(left > 0 && left <= WORKER_TTL_MS);
  // What Redis does by itself when the time is over.
  await redis.del("sp:worker:c");
  assert.ok((await listWorkers(redis)).every(({ id }) => id !== "c"));
});
