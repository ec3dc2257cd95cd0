/** The weight of all sandboxes together, in the real control groups of this machine. */
import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { after, before, test } from "node:test";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import { ROOT_GROUP } from "../../../sandbox-core/cgroup/driver.ts";
import { weighRoot } from "../../../sandbox-core/cgroup/root-weight.ts";
import { createOwnerGroup, ownerGroup, removeRootGroup, removeTree } from "../../../sandbox-core/cgroup/sweep.ts";

const driver = detectCgroups();
const own = ownerGroup(process.pid);
const fitting = availableParallelism() * (driver.version === 1 ? 400 : 100);

before(() => createOwnerGroup(driver, own));
after(async () => {
  weighRoot(driver, fitting);
  await removeTree(driver, own);
  removeRootGroup(driver);
});

test("fits the processors where nobody gave one", () => {
  driver.setCpuWeight(ROOT_GROUP, 100);
  weighRoot(driver);
  assert.equal(driver.cpuWeight(ROOT_GROUP), fitting);
});

test("stays what somebody gave", () => {
  weighRoot(driver, 321);
  weighRoot(driver);
  assert.equal(driver.cpuWeight(ROOT_GROUP), 321);
  weighRoot(driver, 10_000);
  assert.equal(driver.cpuWeight(ROOT_GROUP), 10_000);
});
