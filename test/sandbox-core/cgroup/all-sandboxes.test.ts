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

test("yields, and takes the weight again that it had", () => {
  const { state, all } = machineOf(321);
  all.setYielding(true);
  assert.equal(state.isIdle, true);
  all.setYielding(true);
  all.setYielding(false);
  assert.deepEqual([state.isIdle, state.weight], [false, 321]);
});

test("takes its weight while the rest of the machine uses nearly all, and for a while after", () => {
  const { state, all, second } = machineOf(321);
  all.setYielding(true);
  second(0.1, PROCESSORS * 0.9);
  all.setYielding(true);
  assert.deepEqual([state.isIdle, state.weight], [false, 321]);
  for (let passed = 0; passed < 29; passed++) second(1, 0);
  all.setYielding(true);
  assert.equal(state.isIdle, false);
  second(1, 0);
  all.setYielding(true);
  assert.equal(state.isIdle, true);
});

test("one that never had them yield leaves what another worker did", () => {
  const { state, all } = machineOf(321);
  state.isIdle = true;
  all.setYielding(false);
  assert.equal(state.isIdle, true);
});
