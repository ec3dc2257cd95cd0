/** Host users of one zygote: each for one sandbox at a time, and at rest between two of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HostIds } from "../../../sandbox-core/zygote/host-ids.ts";

const BLOCK = 1_024;

/** Ids out of so many blocks. */
function idsOf(blocks: number): HostIds {
  const claimed = new Set<string>();
  const claim = (name: string) => claimed.size !== claimed.add(name).size;
  return new HostIds({ uidBase: 10_000, uidCount: blocks * BLOCK }, claim);
}

function takeAll(ids: HostIds): number[] {
  const taken: number[] = [];
  assert.throws(() => {
    for (;;) taken.push(ids.take());
  }, /no free block of 1024 uids from 10000 to \d+: give a larger range/);
  return taken;
}

test("an id that was given back rests while others are taken, and comes again after them", () => {
  const ids = idsOf(1);
  const given = Array.from({ length: 2 * BLOCK }, () => {
    const id = ids.take();
    ids.giveBack(id);
    return id;
  });
  const all = Array.from({ length: BLOCK }, (_, index) => 10_000 + index);
  assert.deepEqual(given, [...all, ...all]);
});

test("when all others are in use, those at rest are not given: what had one last may not be over for whoever holds it", () => {
  const ids = idsOf(1);
  const taken = takeAll(ids);
  assert.equal(new Set(taken).size, taken.length);
  assert.ok(taken.length < BLOCK);
  const [last] = taken;
  ids.giveBack(last as number);
  assert.notEqual(ids.take(), last);
});

test("more than a block has are out of further blocks, while there are any", () => {
  const ids = idsOf(3);
  const taken = takeAll(ids);
  assert.ok(taken.length > 2 * BLOCK);
  assert.equal(new Set(taken).size, taken.length);
});

test("without a block there are none", () => {
  assert.throws(() => idsOf(0), /no free block of 1024 uids from 10000 to 10000: give a larger range/);
});
