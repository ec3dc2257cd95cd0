/** Host users of one zygote: each for one sandbox at a time, and at rest between two of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IdBlock } from "../../../sandbox-core/zygote/ids.ts";

const [FIRST, COUNT] = [5_000, 200];

test("an id that was given back rests while others are taken, and comes again after them", () => {
  const ids = new IdBlock(FIRST, COUNT, "unused");
  const given = Array.from({ length: 2 * COUNT }, () => {
    const id = ids.take();
    ids.giveBack(id);
    return id;
  });
  const all = Array.from({ length: COUNT }, (_, index) => FIRST + index);
  assert.deepEqual(given, [...all, ...all]);
});

test("when all others are in use, those at rest are not given: what had one last may not be over for whoever holds it", () => {
  const ids = new IdBlock(FIRST, COUNT, "unused");
  const taken: number[] = [];
  assert.throws(() => {
    for (;;) taken.push(ids.take());
  }, /every host uid of this zygote is in use/);
  assert.equal(new Set(taken).size, taken.length);
  const [last] = taken;
  ids.giveBack(last as number);
  assert.notEqual(ids.take(), last);
});
