import assert from "node:assert/strict";
import { test } from "node:test";
import { Burners, newcomersShare } from "../../../worker/pool/burners.ts";

/** After so many looks at the same, each tenant that burns. */
function burning(
  burners: Burners,
  used: Record<string, number>,
  more: { looks?: number; all?: number; left?: number } = {},
): string[] {
  const { looks = 20, all = 8, left = all } = more;
  const map = new Map(Object.entries(used));
  for (let look = 0; look < looks; look++) burners.look(map, { all, left });
  return Object.keys(used).filter((tenant) => burners.has(tenant));
}

test("a newcomer's share is what all would have who want more than they would have", () => {
  assert.equal(newcomersShare([], 8), 8);
  assert.equal(newcomersShare([8], 8), 4);
  assert.equal(newcomersShare([1, 7], 8), 3.5);
  assert.equal(newcomersShare([1, 1], 8), 6);
  assert.equal(newcomersShare([2, 3, 3], 8), 2);
});

test("who uses more than that burns, however many do, and nobody else", () => {
  assert.deepEqual(burning(new Burners(8), { hog: 7.5, light: 0.5 }), ["hog"]);
  assert.deepEqual(burning(new Burners(8), { a: 3.5, b: 3.5, light: 1 }), ["a", "b"]);
  assert.deepEqual(burning(new Burners(8), { a: 2.5, b: 2.5 }), []);
  assert.deepEqual(burning(new Burners(8), { alone: 3.9 }), []);
});

test("a burst shorter than a look does not burn, and a tenant that stopped does so no more", () => {
  const burners = new Burners(8);
  assert.deepEqual(burning(burners, { one: 7 }, { looks: 1 }), []);
  assert.deepEqual(burning(burners, { one: 7 }, { looks: 1 }), ["one"]);
  assert.deepEqual(burning(burners, { one: 0 }, { looks: 1 }), []);
});

test("a tenant that is kept below its share by others burns no more, and those do", () => {
  const burners = new Burners(8);
  assert.deepEqual(burning(burners, { hog: 8 }), ["hog"]);
  assert.deepEqual(burning(burners, { hog: 0.5, other: 7.5 }), ["other"]);
});

test("a tenant that waits for all others burns while it uses most of what they leave", () => {
  const burners = new Burners(8);
  // The platform serves calls that take little of sandboxes.
  assert.deepEqual(burning(burners, { hog: 2 }, { left: 2 }), []);
  assert.deepEqual(burning(burners, { hog: 7 }), ["hog"]);
  assert.deepEqual(burning(burners, { hog: 2 }, { left: 2 }), ["hog"]);
  assert.deepEqual(burning(burners, { hog: 0.6 }, { left: 2 }), []);
});

test("a little of the machine is nothing to burn, whatever tenants of other workers use", () => {
  assert.deepEqual(burning(new Burners(8), { light: 0.4 }, { all: 0.4 }), []);
  assert.deepEqual(burning(new Burners(8), { some: 0.6 }, { all: 0.6 }), ["some"]);
});

test("a tenant of more weight may use more", () => {
  const burners = new Burners(8, (tenant) => (tenant === "heavy" ? 4 : 1));
  assert.deepEqual(burning(burners, { heavy: 4, light: 4 }), ["light"]);
});
