/** Freezing, thawing and killing what is frozen: by each freezer that this machine has. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import type { CgroupDriver, GroupLimits } from "../../../sandbox-core/cgroup/driver.ts";
import { createOwnerGroup, ownerGroup, removeRootGroup, removeTree } from "../../../sandbox-core/cgroup/sweep.ts";
import { CgroupsError } from "../../../sandbox-core/contract/error.ts";
import { forkBomb, inGroup, SPIN } from "../../helpers/cgroup.ts";

const LIMITS: GroupLimits = { memoryBytes: 64 * 1024 * 1024, cpus: 1, pids: 32 };
/** A worker of which one can hear that it goes on. */
const TICKER = ["sh", "-c", `while :; do ${SPIN}; echo tick; done`];
const own = ownerGroup(process.pid);

const mounts = readFileSync("/proc/self/mountinfo", "utf8");
const without = (pattern: RegExp) => mounts.split("\n").filter((line) => !pattern.test(line));

/**
 * The driver of this machine, and on version 1 the one of a machine without version 2 beside it.
 */
function drivers(): CgroupDriver[] {
  const usual = detectCgroups();
  if (usual.version === 2 || usual.freezes === "freezer") return [usual];
  return [usual, detectCgroups(without(/ cgroup2 /).join("\n"))];
}

for (const driver of drivers()) {
  const name = `version ${driver.version}, ${driver.freezes}`;
  const group = `${own}/tried-${driver.freezes}`;
  const neighbour = `${own}/neighbour`;

  /** Somebody else's work of the same kind goes on, and ends. */
  async function workNextDoor() {
    driver.create(neighbour, LIMITS);
    await once(inGroup(driver, neighbour, LIMITS, ["sh", "-c", SPIN]), "exit");
    await removeTree(driver, neighbour);
  }

  /**
   * The kernel counts what a task did last as it takes it off its processor, a moment after it is
   * frozen.
   */
  async function usedUntilFrozen(): Promise<number> {
    await workNextDoor();
    return driver.usage(group).cpuMs;
  }

  before(() => createOwnerGroup(driver, own));
  after(() => removeTree(driver, own));

  test(`what is frozen does nothing, and goes on when thawed (${name})`, async () => {
    driver.create(group, LIMITS);
    const ticker = inGroup(driver, group, LIMITS, TICKER);
    await once(ticker.stdout, "data");
    assert.equal(driver.stats(group).frozen, false);
    await driver.freeze(group);
    assert.equal(driver.stats(group).frozen, true);
    const cpuMs = await usedUntilFrozen();
    await workNextDoor();
    assert.equal(driver.usage(group).cpuMs, cpuMs);
    ticker.stdout.removeAllListeners("data");
    driver.thaw(group);
    assert.equal(driver.stats(group).frozen, false);
    await once(ticker.stdout, "data");
    assert.ok(driver.usage(group).cpuMs > cpuMs);
    await removeTree(driver, group);
  });

  test(`what is frozen can be killed, and leaves nothing (${name})`, async () => {
    driver.create(group, LIMITS);
    const ticker = inGroup(driver, group, LIMITS, TICKER);
    await once(ticker.stdout, "data");
    await driver.freeze(group);
    const ended = once(ticker, "exit");
    driver.kill(group);
    assert.deepEqual(await ended, [null, "SIGKILL"]);
    await removeTree(driver, group);
    assert.deepEqual(driver.children(own), []);
  });

  test(`a fork bomb stands still as a whole (${name})`, async () => {
    driver.create(group, LIMITS);
    inGroup(driver, group, LIMITS, ["sh", ...forkBomb()]);
    while (driver.stats(group).tasks < 8) await turn();
    await driver.freeze(group);
    const cpuMs = await usedUntilFrozen();
    const members = driver.members(group);
    await workNextDoor();
    assert.equal(driver.usage(group).cpuMs, cpuMs);
    assert.deepEqual(driver.members(group), members);
    await removeTree(driver, group);
  });
}

test("without any freezer the refusal says so", { skip: detectCgroups().version === 2 }, async () => {
  const driver = detectCgroups(without(/ cgroup2 |freezer/).join("\n"));
  assert.equal(driver.freezes, null);
  await assert.rejects(driver.freeze(`${own}/x`), (error: Error) => {
    assert.ok(error instanceof CgroupsError);
    assert.match(error.message, /no freezer: mount/);
    return true;
  });
});

// That of a machine without version 2 has its root group in one more hierarchy.
after(() => {
  for (const driver of drivers()) removeRootGroup(driver);
});
