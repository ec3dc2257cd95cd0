import assert from "node:assert/strict";
import { test } from "node:test";
import { beat, leave } from "../../functions/store/workers.ts";
import { Fleet } from "../../gateway/fleet.ts";
import { startRedis } from "../helpers/redis.ts";

test("a gateway hears of the walls that its workers do without, when that changes and not else", async (t) => {
  const server = await startRedis();
  t.after(() => server.stop());
  const redis = server.connect();
  const heard: string[][] = [];
  let onHeard = () => {};
  const fleet = new Fleet(redis, (walls) => {
    heard.push(walls);
    onHeard();
  });
  t.after(() => fleet.stop());
  const next = () => new Promise<void>((resolve) => (onHeard = resolve));

  await fleet.start();
  assert.deepEqual(heard, []);
  const worker = { id: "w", host: "h", pid: 1, startedAtMs: 1, running: 0, room: 1 };
  const degraded = next();
  await beat(redis, { ...worker, posture: { launcher: "fork", degraded: ["landlock"] } });
  await degraded;
  const whole = next();
  await leave(redis, "w");
  await whole;
  assert.deepEqual(heard, [["landlock"], []]);
});
