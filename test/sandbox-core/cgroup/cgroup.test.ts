/** The driver of this machine on its real control groups, and which one is chosen from a mount table. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import {
  createOwnerGroup,
  ownerGroup,
  removeRootGroup,
  removeTree,
  sweepDead,
} from "../../../sandbox-core/cgroup/sweep.ts";

const driver = detectCgroups();
const own = ownerGroup(process.pid);
const LIMITS = { memoryBytes: 64 * 1024 * 1024, cpus: 0.5, pids: 8 };

before(() => createOwnerGroup(driver, own));
after(async () => {
  await removeTree(driver, own);
  removeRootGroup(driver);
});

/** A process that joins the group by itself and then becomes `command`. */
function inGroup(group: string, command: string) {
  const join = driver.joinFiles(group, LIMITS).map((file) => `echo 0 > ${file}`);
  return spawn("/bin/sh", ["-c", [...join, `exec ${command}`].join(" && ")], { stdio: ["ignore", "pipe", "inherit"] });
}

test("limits are what the kernel has afterwards", () => {
  driver.create(`${own}/limits`, LIMITS);
  const files = { 1: "/sys/fs/cgroup/memory/{}/memory.limit_in_bytes", 2: "/sys/fs/cgroup/{}/memory.max" };
  const text = readFileSync(files[driver.version].replace("{}", `${own}/limits`), "utf8");
  assert.equal(Number(text), LIMITS.memoryBytes);
  driver.remove(`${own}/limits`);
  assert.deepEqual(driver.children(own), []);
});

test("a process joins, is seen, is metered, and is ended with its group", async () => {
  const group = `${own}/member`;
  driver.create(group, LIMITS);
  const child = inGroup(group, "sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; exec sleep 1000'");
  await once(child.stdout, "data");
  assert.deepEqual(driver.members(group), [child.pid]);
  const meter = driver.openMeter(group);
  assert.ok(meter.read().cpuMs > 0);
  assert.ok(meter.read().peakMemoryBytes > 0);
  const ended = once(child, "exit");
  await removeTree(driver, group);
  assert.deepEqual(await ended, [null, "SIGKILL"]);
  assert.ok(meter.read().cpuMs > 0, "the last figures stand");
  meter.close();
});

test("an out-of-memory kill is counted", async () => {
  const group = `${own}/bomb`;
  driver.create(group, LIMITS);
  const child = inGroup(group, "tail /dev/zero");
  await once(child, "exit");
  const { oomKills, peakMemoryBytes } = driver.usage(group);
  assert.ok(oomKills >= 1);
  assert.ok(peakMemoryBytes <= LIMITS.memoryBytes);
  driver.remove(group);
});

test("the groups of an owner that is gone are swept, those of a living one stay", async () => {
  const gone = "sandpiper/999999-1";
  driver.createParent(gone);
  driver.create(`${gone}/left`, LIMITS);
  driver.create(`${own}/mine`, LIMITS);
  await sweepDead(driver);
  assert.deepEqual(driver.children("sandpiper").includes("999999-1"), false);
  assert.deepEqual(driver.children(own), ["mine"]);
  driver.remove(`${own}/mine`);
});

test("removing what is not there does nothing", () => driver.remove(`${own}/never`));

test("a machine without controllers is told which are missing", () => {
  assert.throws(() => detectCgroups("proc /proc proc rw 0 0\n"), /memory, cpu, cpuacct, pids.*mount cgroup2/);
  const partly =
    "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\ncgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n";
  assert.throws(() => detectCgroups(partly), /controller pids:/);
});

test("version 1 is chosen where version 2 has no controllers", () => {
  if (!existsSync("/sys/fs/cgroup/unified")) return;
  assert.equal(detectCgroups().version, 1);
});
