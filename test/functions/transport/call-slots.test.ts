/** A worker's room: what is begun, in which order, and what is given back for others. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CallSlots } from "../../../functions/transport/call-slots.ts";

/** A room for so many, and what was begun in it. */
function roomFor(free: number) {
  const begun: number[] = [];
  const state = { free };
  const room = new CallSlots(() => state.free);
  const begin = (call: number) => {
    state.free -= 1;
    begun.push(call);
  };
  const freeOne = () => {
    state.free += 1;
    room.changed();
  };
  return { room, begun, begin, freeOne };
}

test("what there is room for begins at once, in order", async () => {
  const { room, begun, begin } = roomFor(3);
  assert.deepEqual(await room.fill([1, 2], begin), []);
  assert.deepEqual(begun, [1, 2]);
  assert.equal(room.isOpen, true);
});

test("what there is no room for begins when there is, and nothing else is wanted meanwhile", async () => {
  const { room, begun, begin, freeOne } = roomFor(1);
  const filled = room.fill([1, 2, 3], begin);
  assert.deepEqual(begun, [1]);
  freeOne();
  // Two wait, and there is room for one of them.
  assert.equal(room.isOpen, false);
  await Promise.resolve();
  await Promise.resolve();
  freeOne();
  assert.deepEqual(await filled, []);
  assert.deepEqual(begun, [1, 2, 3]);
});

test("what finds no room in a moment is given back", async () => {
  const { room, begun, begin, freeOne } = roomFor(1);
  assert.deepEqual(await room.fill([1, 2, 3], begin), [2, 3]);
  assert.deepEqual(begun, [1]);
  freeOne();
  assert.equal(room.isOpen, true, "nothing is kept any more");
});

test("a closed room gives everything back at once", async () => {
  const { room, begun, begin } = roomFor(1);
  const filled = room.fill([1, 2], begin);
  room.close();
  assert.deepEqual(await filled, [2]);
  assert.deepEqual(await room.fill([3], begin), [3]);
  assert.deepEqual(begun, [1]);
});
