/** Shares of what is bounded. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { Holdings, mayTake } from "../../../infra/std/fair-share.ts";

/** How much an owner gets who takes as much as it may, one by one. */
function taken(holdings: Holdings, owner: string, size: number, want = 1): number {
  for (;;) {
    const taking = { own: holdings.of(owner), want, used: holdings.total, size };
    if (!mayTake(taking)) return holdings.of(owner);
    holdings.add(owner, want);
  }
}

it("one owner leaves an eighth, of which each newcomer has some", () => {
  const holdings = new Holdings();
  const owners = ["a", "b", "c", "d", "e", "f"];
  assert.deepEqual(
    owners.map((owner) => taken(holdings, owner, 128)),
    [112, 8, 4, 2, 1, 1],
  );
  assert.equal(holdings.total, 128);
  assert.equal(taken(holdings, "late", 128), 0);
  holdings.add("a", -1);
  assert.equal(taken(holdings, "a", 128), 111, "what comes back is for those who have less");
  assert.equal(taken(holdings, "late", 128), 1);
});

it("of few pieces nothing is kept back, and no more is taken than there is", () => {
  assert.equal(taken(new Holdings(), "a", 15), 15);
  assert.equal(taken(new Holdings(), "a", 16), 14);
  assert.equal(taken(new Holdings(), "a", 100, 30), 90);
  assert.equal(mayTake({ own: 5, want: 0, used: 100, size: 100 }), true);
});
