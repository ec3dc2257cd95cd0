/** Keys of Redis by owner, against the table of the architecture. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { KEY_TABLE, matcherOf } from "../../../functions/store/key-table.ts";

/** The patterns of the first column of a table of Markdown. */
function listedKeys(architecture: string): string[] {
  return [...architecture.matchAll(/^\| (`sp:.*?) \|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`(sp:[^`]+)`/g)].map(([, key = ""]) => key),
  );
}

it("has each key that the architecture has, and no other", () => {
  const listed = listedKeys(readFileSync(new URL("../../../docs/ARCHITECTURE.md", import.meta.url), "utf8"));
  assert.ok(listed.length > 40, "the table was found");
  assert.deepEqual(KEY_TABLE.map(({ pattern }) => pattern).sort(), listed.sort());
});

it("says of every key with a tenant in its name that it is the tenant's", () => {
  for (const { pattern, owner } of KEY_TABLE) {
    assert.equal(owner === "tenant", pattern.includes("<tenant>"), pattern);
  }
});

it("takes no key of a tenant for another's", () => {
  const rows = KEY_TABLE.filter(({ owner }) => owner === "tenant");
  const ownedBy = (tenant: string, key: string) => rows.some(({ pattern }) => matcherOf(pattern, tenant).test(key));
  assert.ok(ownedBy("acme", "sp:function:acme:shop"));
  assert.ok(ownedBy("acme", "sp:secrets:acme"));
  assert.ok(ownedBy("acme", "sp:recordheap:acme:shop:ok"));
  for (const key of [
    "sp:function:acme-2:shop",
    "sp:function:other:acme",
    "sp:secrets:other:acme",
    "sp:functions:a.me",
  ]) {
    assert.ok(!ownedBy("acme", key), key);
  }
});
