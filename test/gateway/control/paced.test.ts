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
  for (let round = 0; round < 3; round++) await paced.run("a", work);
  for (const [at, { beganMs, endMs }] of times.slice(0, -1).entries()) {
    const next = times[at + 1]?.beganMs ?? 0;
    assert.ok(next - endMs >= 4 * (endMs - beganMs) - 2, `${next - endMs} ms after ${endMs - beganMs} ms of work`);
  }
});

it("rests after what failed, too, and gives what the work gives", async () => {
  const paced = new Paced();
  let endMs = 0;
  const failing = paced.run("a", async () => {
    await delay(20);
    endMs = performance.now();
    throw new Error("no");
  });
  await assert.rejects(failing, /no/);
  const beganMs = await paced.run("a", async () => performance.now());
  assert.ok(beganMs - endMs >= 78);
});

it("is done by one at a time, and by each who asks once, however many ask at the same moment", async () => {
  const paced = new Paced();
  let [running, most] = [0, 0];
  const work = async () => {
    running += 1;
    most = Math.max(most, running);
    await delay(1);
    running -= 1;
  };
  const owners = ["a", "b", "c"];
  const asked = await Promise.allSettled([...owners, ...owners, ...owners].map((owner) => paced.run(owner, work)));
  assert.equal(most, 1);
  const refused = asked.flatMap((one) => (one.status === "rejected" ? [one.reason.code] : []));
  assert.deepEqual(
    refused,
    Array.from({ length: 6 }, () => "OVERLOADED"),
  );
  await paced.run("a", work);
});
