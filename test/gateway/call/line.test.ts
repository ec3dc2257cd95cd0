/** Which of the calls that wait in a gateway goes next. */
import assert from "node:assert/strict";
import { beforeEach, it } from "node:test";
import type { SandpiperError } from "../../../functions/model/errors.ts";
import type { Invocation } from "../../../functions/model/invocation.ts";
import { type HeldCall, Line } from "../../../gateway/call/line.ts";
import { newInvocation } from "../../helpers/invocations.ts";

const NOW_MS = 1_000_000;

let line: Line;
const failed: string[] = [];
beforeEach(() => {
  line = new Line();
  failed.splice(0);
});

function add(id: string, ageMs: number, leftMs = 60_000, of: Partial<Invocation> = {}): HeldCall {
  const times = { enqueuedAtMs: NOW_MS - ageMs, expiresAtMs: NOW_MS + leftMs };
  const invocation = newInvocation({ id, ...times, ...of });
  const held: HeldCall = { invocation, go() {}, fail: (error: SandpiperError) => failed.push(error.code) };
  line.add(held);
  return held;
}

/** Takes so many calls out of the line, of the tenants that may have some. */
function take(count: number, admits: (tenant: string) => boolean = () => true): string[] {
  const ids: string[] = [];
  line.pass(count, { tenant: admits, function: () => true }, ({ invocation }) => ids.push(invocation.id));
  return ids;
}

const idsOf = (calls: HeldCall[]): string[] => calls.map(({ invocation }) => invocation.id);

it("the call that came first goes first, while none has waited for long", () => {
  for (const id of ["a", "b", "c"]) add(id, 10);
  line.age(NOW_MS - 100);
  assert.deepEqual(take(2), ["a", "b"]);
  assert.deepEqual(take(2), ["c"]);
  assert.equal(line.size, 0);
});

it("calls that have waited for long let the others go first, and the youngest of them goes first", () => {
  for (const [id, ageMs] of Object.entries({ oldest: 5_000, older: 4_000, old: 3_000, first: 20, second: 10 }))
    add(id, ageMs);
  line.age(NOW_MS - 1_000);
  assert.equal(line.ahead(newInvocation({})), 2);
  assert.deepEqual(take(4), ["first", "second", "old", "older"]);
  add("third", 0);
  assert.deepEqual(take(2), ["third", "oldest"]);
});

it("tenants take turns, and the functions of each, so that one that is called much has its own calls wait", () => {
  const ofMany = { tenant: "many", functionName: "flood" };
  const ofOther = { tenant: "many", functionName: "other" };
  for (let i = 0; i < 100; i++) add(`flood${i}`, 10, 60_000, ofMany);
  for (const id of ["other0", "other1"]) add(id, 5, 60_000, ofOther);
  const few = { tenant: "few", functionName: "calm" };
  assert.equal(line.ahead(ofMany), 102);
  assert.equal(line.ahead(few), 1);
  add("calm0", 0, 60_000, few);
  add("calm1", 5_000, 60_000, few);
  add("calm2", 4_000, 60_000, few);
  line.age(NOW_MS - 1_000);
  const taken = take(9);
  assert.deepEqual(taken, ["flood0", "calm0", "other0", "calm2", "flood1", "calm1", "other1", "flood2", "flood3"]);
  assert.equal(line.ahead(few), 1);
  assert.equal(line.ahead(ofMany), 96);
});

it("tenants share by the time that their calls take, whatever came first", () => {
  line.charge("slow", 10);
  line.charge("quick", 1);
  for (let i = 0; i < 100; i++) add(`slow${i}`, 10, 60_000, { tenant: "slow" });
  for (let i = 0; i < 40; i++) add(`quick${i}`, 5, 60_000, { tenant: "quick" });
  const taken = take(44);
  assert.equal(taken.filter((id) => id.startsWith("slow")).length, 4);
  assert.deepEqual(
    taken.filter((id) => id.startsWith("quick")),
    Array.from({ length: 40 }, (_, i) => `quick${i}`),
  );
  add("late", 0, 60_000, { tenant: "quick" });
  assert.deepEqual(take(3), ["slow4", "late", "slow5"], "who comes late goes at once, and makes up for nothing");
});

it("a tenant that may have no more lets the others go first", () => {
  for (const id of ["a", "b"]) add(id, 10, 60_000, { tenant: "full" });
  add("c", 5, 60_000, { tenant: "other" });
  assert.deepEqual(
    take(9, (tenant) => tenant !== "full"),
    ["c"],
  );
  assert.deepEqual(take(9), ["a", "b"]);
});

it("a call is taken out once: by whoever forgets it, or because its time is over", () => {
  add("left", 5_000);
  add("over", 4_000, -1);
  add("over too", 10, 0);
  add("stays", 10);
  line.age(NOW_MS - 1_000);
  assert.ok(line.remove("left"));
  assert.ok(!line.remove("left"));
  assert.deepEqual(idsOf(line.takeExpired(NOW_MS)), ["over", "over too"]);
  assert.deepEqual(idsOf(line.takeAll()), ["stays"]);
  assert.equal(line.size, 0);
});

it("a tenant of three times the weight has three calls go for one of another, and fewer calls ahead", () => {
  line = new Line((tenant) => (tenant === "heavy" ? 300 : 100));
  for (let i = 0; i < 30; i++)
    for (const tenant of ["heavy", "light"]) add(`${tenant}${i}`, 10, 60_000, { tenant, functionName: "f" });
  assert.ok(line.ahead({ tenant: "heavy", functionName: "f" }) < line.ahead({ tenant: "light", functionName: "f" }));
  const taken = take(20);
  assert.equal(taken.filter((id) => id.startsWith("heavy")).length, 15);
  assert.deepEqual([line.waiting("heavy"), line.waiting("light", "f"), line.waiting("light", "g")], [15, 25, 0]);
});
