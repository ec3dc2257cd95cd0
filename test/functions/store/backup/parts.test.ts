/** Each key of Redis is carried by backups, or left out on purpose. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { keyOfPart, LEFT_OUT, PARTS } from "../../../../functions/store/backup/parts.ts";
import { KEY_TABLE, matcherOf } from "../../../../functions/store/key-table.ts";

it("has each key that is kept, and no other", () => {
  const carried = PARTS.map(({ pattern }) => pattern);
  const decided = [...carried, ...Object.keys(LEFT_OUT)].sort();
  const kept = KEY_TABLE.filter(({ owner }) => owner !== "ends").map(({ pattern }) => pattern);
  const hint = "a key that is kept needs a row in PARTS or a reason in LEFT_OUT of functions/store/backup/parts.ts";
  assert.deepEqual(decided, kept.sort(), hint);
  assert.equal(new Set(decided).size, decided.length);
});

it("keeps each part in a key of its pattern", () => {
  for (const part of PARTS) {
    const name = part.of === "function" || part.of === "named" ? "name" : null;
    const key = keyOfPart(part, part.of === "all" ? null : "acme", name);
    assert.match(key, matcherOf(part.pattern, "acme"));
    assert.ok(!key.includes("<"), key);
  }
});
