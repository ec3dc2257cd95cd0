/** Work that takes a part of the time at most. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Paced } from "../../../gateway/control/paced.ts";

it("begins when the rest after the last is over, which is four times as long as that took", async () => {
  const paced = new Paced();
  const times: { beganMs: number; endMs: number }[] = [];
  const work = async () => {
    const beganMs = performance.now();
    await delay(20);
    times.push({ beganMs, endMs: performance.now() });
  };
  for (let round = 0; round < 3; round++) await paced.run(work);
  for (const [at, { beganMs, endMs }] of times.slice(0, -1).entries()) {
    const next = times[at + 1]?.beganMs ?? 0;
    assert.ok(next - endMs >= 4 * (endMs - beganMs) - 2, `${next - endMs} ms after ${endMs - beganMs} ms of work`);
  }
});

it("rests after what failed, too, and gives what the work gives", async () => {
  const paced = new Paced();
  let endMs = 0;
  const failing = paced.run(async () => {
    await delay(20);
    endMs = performance.now();
    throw new Error("no");
  });
  await assert.rejects(failing, /no/);
  const beganMs = await paced.run(async () => performance.now());
  assert.ok(beganMs - endMs >= 78);
});
