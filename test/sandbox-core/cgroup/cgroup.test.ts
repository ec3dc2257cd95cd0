/**
 * The driver of this machine on its real control groups, and which one is chosen from a mount
 * table.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import { ROOT_GROUP } from "../../../sandbox-core/cgroup/driver.ts";
import {
  createOwnerGroup,
  groupsOf,
  ownerGroup,
  removeOwner,
  removeRootGroup,
  removeTree,
  sandboxGroup,
  sweepDead,
} from "../../../sandbox-core/cgroup/sweep.ts";
import { cgroupV2 } from "../../../sandbox-core/cgroup/v2.ts";
import { CgroupsError } from "../../../sandbox-core/contract/error.ts";
import { inGroup, SPIN } from "../../helpers/cgroup.ts";

const driver = detectCgroups();
const own = ownerGroup(process.pid);
const LIMITS = { memoryBytes: 64 * 1024 * 1024, cpus: 0.5, pids: 8 };

before(() => createOwnerGroup(driver, own));
after(async () => {
  await removeTree(driver, own);
  removeRootGroup(driver);
});

test("a process joins, is seen, is metered, and is ended with its group", async () => {
  const group = `${own}/member`;
  driver.create(group, LIMITS);
  const child = inGroup(driver, group, LIMITS, ["sh", "-c", `${SPIN}; echo done; exec sleep 1000`]);
  await once(child.stdout, "data");
  assert.deepEqual(driver.members(group), [child.pid]);
  assert.deepEqual(driver.threads(group).map(String), readdirSync(`/proc/${child.pid}/task`));
  const meter = driver.meter(group);
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
  const child = inGroup(driver, group, LIMITS, ["tail", "/dev/zero"]);
  await once(child, "exit");
  const { oomKills, peakMemoryBytes } = driver.usage(group);
  assert.ok(oomKills >= 1);
  assert.ok(peakMemoryBytes <= LIMITS.memoryBytes);
  driver.remove(group);
});

test("the groups of an owner that is gone are swept, those of a living one stay", async () => {
  const gone = "sandpiper/999999-1";
  driver.createParent(gone);
  driver.create(sandboxGroup(gone, 7), LIMITS);
  driver.create(`${sandboxGroup(gone, 7)}.1`, LIMITS);
  driver.create(sandboxGroup(own, 7), LIMITS);
  await sweepDead(driver);
  assert.deepEqual(
    driver.children("sandpiper").filter((name) => name.startsWith("999999-1")),
    [],
  );
  assert.deepEqual(groupsOf(driver, own), [sandboxGroup(own, 7)]);
  await removeOwner(driver, own);
  assert.deepEqual(groupsOf(driver, own), []);
  createOwnerGroup(driver, own);
});

test("what a dead process left and cannot be removed keeps nobody from the rest, nor from beginning", async (t) => {
  const [stuck, gone] = [`${ROOT_GROUP}/999999-1`, `${ROOT_GROUP}/999999-2`];
  for (const group of [stuck, gone]) driver.createParent(group);
  const remove = driver.remove.bind(driver);
  const busy = t.mock.method(driver, "remove", (path: string) => {
    if (path === stuck) throw Object.assign(new Error("EBUSY: injected, rmdir"), { code: "EBUSY" });
    remove(path);
  });
  await sweepDead(driver);
  assert.equal(driver.children(ROOT_GROUP).includes("999999-2"), false);
  busy.mock.restore();
  await sweepDead(driver);
  assert.deepEqual(
    driver.children(ROOT_GROUP).filter((name) => name.startsWith("999999-")),
    [],
  );
});

test("removing what is not there does nothing", () => driver.remove(`${own}/never`));

test("a kernel that refuses groups is told in a sentence that says what to do", () => {
  // Nobody makes directories in sysfs.
  const refused = cgroupV2("/sys/kernel", []);
  assert.throws(
    () => createOwnerGroup(refused, `sandpiper/${process.pid}`),
    (error: Error) => {
      assert.ok(error instanceof CgroupsError);
      assert.match(
        error.message,
        /^control groups cannot be made at \/sys\/kernel\/.* \(E\w+\): this process may not write/,
      );
      return true;
    },
  );
});

/** A table of mounts, each as its point, type and options. */
function mountTable(...mounts: string[]): string {
  const line = (mount: string, id: number) => {
    const [point, type, options] = mount.split(" ");
    return `${id + 2} 1 0:${id} / ${point} rw - ${type} none ${options}`;
  };
  return mounts.map(line).join("\n");
}

test("a machine without controllers is told which are missing", () => {
  assert.throws(() => detectCgroups(mountTable("/proc proc rw")), /memory, cpu, cpuacct, pids.*mount cgroup2/);
  const partly = mountTable("/sys/fs/cgroup/memory cgroup rw,memory", "/sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct");
  assert.throws(() => detectCgroups(partly), /controller pids:/);
});

test("controllers on both versions at once are refused, and it is said which is where", (context) => {
  const directory = mkdtempSync(join(tmpdir(), "sandpiper-cgroup2-"));
  context.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, "cgroup.controllers"), "memory io\n");
  const table = mountTable(`${directory} cgroup2 rw`, "/x cgroup rw,cpu,cpuacct", "/y cgroup rw,pids");
  assert.throws(
    () => detectCgroups(table),
    /on both versions of control groups: memory on version 2, others on version 1/,
  );
});

test("a machine without a controller that only some limits need has the others", (context) => {
  if (driver.version === 2) return context.skip("all controllers of version 2 come together");
  const table = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => !/blkio|cgroup2/.test(line));
  const poorer = detectCgroups(table.join("\n"));
  assert.match(poorer.lacks.ioReadBps ?? "", /no controller blkio/);
  assert.deepEqual([poorer.lacks.cpuWeight, poorer.freezes], [undefined, "freezer"]);
  const lost = table.filter((line) => !/freezer/.test(line)).join("\n");
  assert.equal(detectCgroups(lost).freezes, null);
});

test("version 1 is chosen where version 2 has no controllers", () => {
  if (!existsSync("/sys/fs/cgroup/unified")) return;
  assert.equal(detectCgroups().version, 1);
});
