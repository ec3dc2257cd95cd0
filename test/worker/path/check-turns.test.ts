/** Turns of checks: few at once, in order, and not for long. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { CheckTurns, mostChecks } from "../../../worker/path/check-turns.ts";

/** Takes turns with works that end when they are told to, and notes which began. */
function begin(turns: CheckTurns, count: number) {
  const began: number[] = [];
  const ends = Array.from({ length: count }, () => Promise.withResolvers<void>());
  const done = ends.map(({ promise }, index) =>
    turns.take(async () => {
      began.push(index);
      await promise;
      if (index === 1) throw new Error("failed");
      return index;
    }),
  );
  return { began, done, end: (index: number) => ends[index]?.resolve() };
}

it("are two at once, in the order of asking, and pass on however a work ends", async () => {
  const { began, done, end } = begin(new CheckTurns(1e9), 4);
  assert.deepEqual(began, [0, 1]);
  end(1);
  await assert.rejects(done[1] as Promise<number>, /failed/);
  assert.deepEqual(began, [0, 1, 2]);
  end(0);
  assert.equal(await done[0], 0);
  assert.deepEqual(began, [0, 1, 2, 3]);
  end(2);
  end(3);
  assert.deepEqual(await Promise.all([done[2], done[3]]), [2, 3]);
});

it("end with their time, and a work that ends later gives no second one", async () => {
  const turns = new CheckTurns(1);
  const { done, end } = begin(turns, 3);
  // The third begins beside the others, of which none ends.
  end(2);
  assert.equal(await done[2], 2);
  end(0);
  end(1);
  await Promise.allSettled(done);
  const after = begin(turns, 2);
  const { promise, resolve } = Promise.withResolvers<void>();
  const third = turns.take(async () => resolve());
  assert.deepEqual(after.began, [0, 1]);
  await promise;
  after.end(0);
  after.end(1);
  await Promise.allSettled([...after.done, third]);
});

it("are of a part of the worker's instances, and of two at least", () => {
  assert.deepEqual([1, 4, 8, 64, 1_000].map(mostChecks), [2, 2, 4, 32, 32]);
});
