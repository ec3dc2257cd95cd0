/**
 * What of a call is held when it is over. A Map is a table that is copied when it is full, and old
 * tables that wait for a full collection keep what they had: so what is taken out of a Map for
 * each call must not lead to the call.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Departures } from "../../worker/instance/departures.ts";
import type { InstanceLease } from "../../worker/pool/instance-lease.ts";
import { type Demand, Waiter } from "../../worker/pool/waiting-call.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

async function isHeld(ref: WeakRef<object>): Promise<boolean> {
  // A reference that was read in this turn is kept until its end.
  await setImmediate();
  collect();
  return ref.deref() !== undefined;
}

test("a departure holds what was to be done until its call has ended", async () => {
  const departures = new Departures();
  const departure = departures.open("a");
  const watch = () => {
    const call = { isCall: true };
    departure.whenLeft(() => assert.ok(call));
    return new WeakRef(call);
  };
  const ref = watch();
  assert.equal(await isHeld(ref), true);
  departures.close("a");
  assert.equal(await isHeld(ref), false);
  departure.leave();
});

test("a call that waited for an instance is not held by its wait", async () => {
  const departure = new Departures().open("a");
  const watch = () => {
    const demand = { expiresAtMs: Date.now() + 60_000, departure, version: {} } as Demand;
    const lease = {} as InstanceLease;
    return { waiter: new Waiter(demand, () => {}), demand: new WeakRef(demand), lease };
  };
  const { waiter, demand, lease } = watch();
  const { served } = waiter;
  assert.equal(await isHeld(demand), true);
  waiter.serve(lease);
  assert.equal(await served, lease);
  assert.equal(await isHeld(demand), false);
  assert.throws(() => waiter.demand, /The wait is over/);
  waiter.fail(new Error("late"));
});
