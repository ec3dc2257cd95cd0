/** All sandboxes against the rest of a machine, which a driver stands in for. */
import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { test } from "node:test";
import { AllSandboxes } from "../../../sandbox-core/cgroup/all-sandboxes.ts";
import type { CgroupDriver } from "../../../sandbox-core/cgroup/driver.ts";

const PROCESSORS = availableParallelism();

/** A machine whose root group has a weight, or is idle. */
function machineOf(weight: number) {
  const state = { weight, isIdle: false, cpuMs: 0, busyMs: 0, nowMs: 0 };
  const driver = {
    version: 1,
    usage: () => ({ cpuMs: state.cpuMs }),
    cpuWeight: () => (state.isIdle ? 0 : state.weight),
    isCpuIdle: () => state.isIdle,
    setCpuIdle(_path: string, isIdle: boolean) {
      [state.isIdle, state.weight] = [isIdle, isIdle ? state.weight : 100];
    },
    setCpuWeight(_path: string, now: number) {
      if (state.isIdle) throw new Error("EINVAL");
      state.weight = now;
    },
  } as unknown as CgroupDriver;
  const all = new AllSandboxes({ driver, busyMs: () => state.busyMs, now: () => state.nowMs });
  /** A second in which sandboxes and others use so many processors. */
  const second = (sandboxes: number, others: number) => {
    state.nowMs += 1_000;
    state.cpuMs += sandboxes * 1_000;
    state.busyMs += (sandboxes + others) * 1_000;
    return all.look();
  };
  return { state, all, second };
}

test("tells what sandboxes use and what everything else does", () => {
  const { second } = machineOf(800);
  assert.deepEqual(second(1, 0.5), { bySandboxes: 1, byOthers: 0.5 });
  assert.deepEqual(second(0, 0.25), { bySandboxes: 0, byOthers: 0.25 });
});

test("yields, and takes the weight again that it had when nobody has wanted it for two seconds", () => {
  const { state, all, second } = machineOf(321);
  all.setYielding(true);
  assert.equal(state.isIdle, true);
  second(1, 0);
  all.setYielding(true);
  for (const isIdle of [true, false]) {
    second(1, 0);
    all.setYielding(false);
    assert.equal(state.isIdle, isIdle);
  }
  assert.equal(state.weight, 321);
});

test("takes its weight when the rest uses nearly all in three looks on end, and for a while after", () => {
  const { state, all, second } = machineOf(321);
  const look = (others: number) => {
    second(0.1, PROCESSORS * others);
    all.setYielding(true);
    return state.isIdle;
  };
  all.setYielding(true);
  const enough = [0.95, 0.95, 0.85, 0.95, 0.95];
  assert.deepEqual(enough.map(look), [true, true, true, true, true], "two on end are a moment");
  assert.deepEqual([look(0.95), state.weight], [false, 321]);
  for (let passed = 0; passed < 29; passed++) assert.equal(look(0), false);
  assert.equal(look(0), true);
});

test("a rest that uses nearly all before anybody yields to it is yielded to", () => {
  const { state, all, second } = machineOf(321);
  for (let passed = 0; passed < 4; passed++) {
    second(0, PROCESSORS);
    all.setYielding(false);
  }
  second(1, PROCESSORS);
  all.setYielding(true);
  assert.equal(state.isIdle, true);
});

test("one that is stopped gives the weight back at once", () => {
  const { state, all } = machineOf(321);
  all.setYielding(true);
  all.stopYielding();
  assert.deepEqual([state.isIdle, state.weight], [false, 321]);
});

test("yields again when another worker has ended it", () => {
  const { state, all } = machineOf(321);
  all.setYielding(true);
  [state.isIdle, state.weight] = [false, 321];
  all.setYielding(true);
  assert.equal(state.isIdle, true);
});

test("one that never had them yield leaves what another worker did", () => {
  const { state, all } = machineOf(321);
  state.isIdle = true;
  all.setYielding(false);
  all.stopYielding();
  assert.equal(state.isIdle, true);
});
