/** Which entries a map with a limit drops. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LruMap } from "../../../infra/std/lru.ts";

test("the entry that was not used for longest makes way", () => {
  const map = new LruMap<string, number>(2);
  map.set("a", 1);
  map.set("b", 2);
  assert.equal(map.get("a"), 1);
  map.set("c", 3);
  assert.deepEqual([map.get("a"), map.get("b"), map.get("c"), map.size], [1, undefined, 3, 2]);
});

test("listing the entries keeps none of them", () => {
  const map = new LruMap<string, number>(2);
  map.set("a", 1);
  map.set("b", 2);
  const listed = map.entries();
  map.set("c", 3);
  assert.deepEqual(
    [listed, map.has("a")],
    [
      [
        ["a", 1],
        ["b", 2],
      ],
      false,
    ],
  );
});

test("asking whether an entry is there does not keep it", () => {
  const map = new LruMap<string, number>(2);
  map.set("a", 1);
  map.set("b", 2);
  assert.ok(map.has("a"));
  map.set("c", 3);
  assert.ok(!map.has("a"));
});

test("entries weigh what they weigh, also after they were replaced or deleted", () => {
  const map = new LruMap<string, number>(10, (value) => value);
  map.set("a", 6);
  map.set("a", 3);
  map.set("b", 4);
  map.delete("b");
  map.set("c", 7);
  assert.deepEqual([map.has("a"), map.has("c")], [true, true]);
  map.clear();
  map.set("d", 10);
  map.set("e", 0);
  assert.equal(map.size, 2);
});

test("the newest entry stays, however heavy", () => {
  const map = new LruMap<string, number>(10, (value) => value);
  map.set("a", 1);
  map.set("b", 99);
  assert.deepEqual([map.has("a"), map.has("b")], [false, true]);
});
