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

it("are bounded, those included whose clients left, until a worker says that they are over", () => {
  for (let i = 0; i < MANY; i++) calls.add(String(i), call());
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
  calls.add("one", call());
  assert.throws(() => calls.check(), isFull);
  calls.deliver(head("1"));
  calls.check();
});

it("are bounded by the bytes of their bodies", () => {
  for (let i = 0; i < 4; i++) calls.add(String(i), call(), LARGE_BYTES);
  calls.check();
  assert.throws(() => calls.check(1), isFull);
  calls.leave("0");
  assert.throws(() => calls.check(1), isFull);
  calls.forget("0");
  calls.remove("1");
  calls.check(2 * LARGE_BYTES);
  assert.throws(() => calls.check(2 * LARGE_BYTES + 1), isFull);
});

it("are over at their deadline, whatever workers say", async () => {
  for (let i = 0; i < MANY; i++) {
    calls.add(String(i), call(0));
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
