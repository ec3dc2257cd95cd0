/** How many calls a gateway has in the queue and at workers at once. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, it } from "node:test";
import { Calls } from "../../gateway/call/waiting-calls.ts";
import { head } from "../helpers/gateway.ts";

const MANY = 10_000;
const LARGE_BYTES = 1024 ** 3 / 4;

let calls: Calls;
beforeEach(() => {
  calls = new Calls();
  calls.open();
});
afterEach(() => calls.close());

const call = (deadlineMs = Date.now() + 60_000) => ({ deadlineMs, onReply() {}, fail() {} });
const isFull = { code: "OVERLOADED" };

/** Each call is of a tenant of its own, so that none has more than its part. */
const of = (index: number) => ({ tenant: `t${index}`, bodyBytes: 0 });

it("are bounded, those included whose clients left, until a worker says that they are over", () => {
  for (let i = 0; i < MANY; i++) calls.add(String(i), call(), of(i));
  assert.throws(() => calls.check(), isFull);
  for (let i = 0; i < MANY; i++) {
    calls.leave(String(i));
    calls.remove(String(i));
  }
  assert.equal(calls.size, 0);
  assert.throws(() => calls.check(), isFull);
  calls.deliver(head("0", { streaming: true }));
  assert.throws(() => calls.check(), isFull);
  calls.deliver({ kind: "end", id: "0", outcome: "cancelled" });
  calls.add("one", call(), of(MANY));
  assert.throws(() => calls.check(), isFull);
  calls.deliver(head("1"));
  calls.check();
});

it("are bounded by the bytes of their bodies", () => {
  const add = (id: string, bytes: number, tenant = id) => calls.add(id, call(), { tenant, bodyBytes: bytes });
  for (let i = 0; i < 4; i++) add(String(i), LARGE_BYTES);
  add("none", 0);
  assert.throws(() => add("more", 1), isFull);
  calls.leave("0");
  assert.throws(() => add("more", 1), isFull);
  calls.forget("0");
  calls.remove("1");
  assert.throws(() => add("more", 2 * LARGE_BYTES + 1), isFull);
  add("more", 2 * LARGE_BYTES);
});

it("of one tenant leave room for those of others", () => {
  let ofMany = 0;
  const flood = () => {
    for (; ofMany < MANY; ofMany++) calls.add(`many${ofMany}`, call(), { tenant: "many", bodyBytes: 0 });
  };
  assert.throws(flood, isFull);
  for (let i = 0; i < MANY / 100; i++) calls.add(`few${i}`, call(), { tenant: "few", bodyBytes: 1 });
  assert.throws(flood, isFull);
  calls.forget("many0");
  assert.ok(ofMany > MANY / 2, `${ofMany} calls`);
  const bytes = { tenant: "large", bodyBytes: LARGE_BYTES / 2 };
  assert.throws(() => {
    for (let i = 0; i < 8; i++) calls.add(`large${i}`, call(), bytes);
  }, isFull);
  calls.add("small", call(), { tenant: "small", bodyBytes: 1024 });
});

it("are over at their deadline, whatever workers say", async () => {
  for (let i = 0; i < MANY; i++) {
    calls.add(String(i), call(0), of(i));
    calls.leave(String(i));
  }
  const isAccepted = () => {
    try {
      calls.check();
      return true;
    } catch {
      return false;
    }
  };
  assert.ok(!isAccepted());
  while (!isAccepted()) await new Promise((resolve) => setTimeout(resolve, 5));
});
