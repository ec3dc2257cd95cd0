/** Every limit of a control group, tried on the real groups of this machine from outside. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { assertSupported, detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import type { GroupLimits } from "../../../sandbox-core/cgroup/driver.ts";
import { diskOfPath } from "../../../sandbox-core/cgroup/io.ts";
import { createOwnerGroup, ownerGroup, removeRootGroup, removeTree } from "../../../sandbox-core/cgroup/sweep.ts";
import { CgroupsError, UnsupportedLimitError } from "../../../sandbox-core/contract/error.ts";
import { forkBomb, inGroup, SPIN } from "../../helpers/cgroup.ts";

const MEBIBYTE = 1024 * 1024;
const LIMITS: GroupLimits = { memoryBytes: 64 * MEBIBYTE, cpus: 1, pids: 32 };
const driver = detectCgroups();
const own = ownerGroup(process.pid);
const disk = directoryOnDisk();

before(() => createOwnerGroup(driver, own));
after(async () => {
  await removeTree(driver, own);
  removeRootGroup(driver);
  if (disk) rmSync(disk, { recursive: true });
});

/** A directory whose file system is on a disk; some machines have /tmp in memory. */
function directoryOnDisk(): string | null {
  for (const parent of [tmpdir(), "/var/tmp"])
    try {
      diskOfPath(parent);
      return mkdtempSync(join(parent, "sandpiper-io-"));
    } catch (error) {
      if (!(error instanceof CgroupsError)) throw error;
    }
  return null;
}

/** Where the kernel shows each limit, and as what. */
function shownLimits(group: string): Record<string, [file: string, text: string]> {
  const one = (controller: string, file: string) => `/sys/fs/cgroup/${controller}/${group}/${file}`;
  const two = (file: string) => `/sys/fs/cgroup/${group}/${file}`;
  return driver.version === 1
    ? {
        memory: [one("memory", "memory.limit_in_bytes"), String(64 * MEBIBYTE)],
        swap: [one("memory", "memory.memsw.limit_in_bytes"), String(64 * MEBIBYTE)],
        sockets: [one("memory", "memory.kmem.tcp.limit_in_bytes"), String(16 * MEBIBYTE)],
        cpu: [one("cpu", "cpu.cfs_quota_us"), "25000"],
        weight: [one("cpu", "cpu.shares"), "512"],
        pids: [one("pids", "pids.max"), "32"],
      }
    : {
        memory: [two("memory.max"), String(64 * MEBIBYTE)],
        high: [two("memory.high"), String(32 * MEBIBYTE)],
        swap: [two("memory.swap.max"), "0"],
        together: [two("memory.oom.group"), "1"],
        cpu: [two("cpu.max"), "25000 100000"],
        weight: [two("cpu.weight"), "50"],
        pids: [two("pids.max"), "32"],
      };
}

test("each limit is what the kernel has afterwards", () => {
  const group = `${own}/all`;
  const high = driver.version === 2 ? { memoryHighBytes: 32 * MEBIBYTE } : {};
  driver.create(group, { ...LIMITS, cpus: 0.25, cpuWeight: 50, ...high });
  for (const [limit, [file, text]] of Object.entries(shownLimits(group)))
    assert.equal(readFileSync(file, "utf8").trim(), text, limit);
  driver.remove(group);
});

test("who uses up its processor time is held back, and it is counted; who does not is not", async () => {
  const [poor, rich] = [`${own}/poor`, `${own}/rich`];
  driver.create(poor, { ...LIMITS, cpus: 0.05 });
  driver.create(rich, LIMITS);
  for (const group of [poor, rich]) await once(inGroup(driver, group, LIMITS, ["sh", "-c", SPIN]), "exit");
  assert.ok(driver.usage(poor).throttledMs > 0);
  assert.ok(driver.usage(rich).throttledMs < driver.usage(poor).throttledMs);
  const { pressure } = driver.stats(poor);
  if (driver.version === 2) assert.ok(pressure && pressure.cpu.someMs > 0, "throttled tasks want a processor");
  else assert.equal(pressure, null);
  for (const group of [poor, rich]) driver.remove(group);
});

test("memory over `high` is taken back, and nobody dies of it", { skip: driver.version === 1 }, async () => {
  const group = `${own}/high`;
  const limits = { ...LIMITS, memoryHighBytes: 8 * MEBIBYTE };
  driver.create(group, limits);
  const command = ["dd", "if=/dev/zero", `of=${disk}/cached`, "bs=1M", "count=16"];
  const [code] = await once(inGroup(driver, group, limits, command), "exit");
  assert.equal(code, 0);
  assert.match(readFileSync(`/sys/fs/cgroup/${group}/memory.events`, "utf8"), /^high [1-9]/m);
  assert.equal(driver.usage(group).oomKills, 0);
  driver.remove(group);
});

/**
 * Has a hundred connections to itself take what the kernel takes that nobody reads, and says how
 * many bytes those are.
 */
const FILL_SOCKETS = `
  const net = require("node:net");
  const clients = [];
  const server = net.createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1", async () => {
    for (let made = 0; made < 100; made++) {
      const client = net.connect(server.address().port, "127.0.0.1");
      await new Promise((done) => client.once("connect", done));
      client.write(Buffer.alloc(2 ** 20));
      clients.push(client);
    }
    for (let held = -1, same = 0; same < 20; await new Promise((done) => setTimeout(done, 10))) {
      const now = clients.reduce((sum, { _handle }) => sum + 2 ** 20 - _handle.writeQueueSize, 0);
      same = now === held ? same + 1 : 0;
      held = now;
    }
    console.log(clients.reduce((sum, { _handle }) => sum + 2 ** 20 - _handle.writeQueueSize, 0));
    process.exit();
  });`;

test("what sockets hold is limited, where it does not count as memory", { skip: driver.version === 2 }, async () => {
  const group = `${own}/sockets`;
  driver.create(group, LIMITS);
  const child = inGroup(driver, group, LIMITS, [process.execPath, "-e", FILL_SOCKETS]);
  const [held] = await Promise.all([text(child.stdout).then(Number), once(child, "exit")]);
  assert.ok(held > MEBIBYTE && held < LIMITS.memoryBytes / 2, `${held} bytes`);
  driver.remove(group);
});

test("tasks stop at their limit, and a fork bomb is killed while it bombs", async () => {
  const group = `${own}/forks`;
  driver.create(group, LIMITS);
  const bomb = inGroup(driver, group, LIMITS, ["sh", ...forkBomb()]);
  for (let most = 0; most < LIMITS.pids / 3; await turn()) {
    most = driver.stats(group).tasks;
    assert.ok(most <= LIMITS.pids);
  }
  driver.kill(group);
  if (bomb.exitCode === null && bomb.signalCode === null) await once(bomb, "exit");
  await removeTree(driver, group);
  assert.equal(driver.children(own).includes("forks"), false);
});

/** Writes to a file past the page cache, a piece at a time. */
function writer(group: string, limits: GroupLimits, name: string): ChildProcess {
  const file = join(disk as string, name);
  return inGroup(driver, group, limits, ["dd", "if=/dev/zero", `of=${file}`, "bs=64k", "count=32", "oflag=direct"]);
}

const noDisk = disk === null ? "no directory here is on a disk" : false;

test("who may write little a second is overtaken by who may write much", { skip: noDisk }, async () => {
  const [slow, fast] = [`${own}/slow`, `${own}/fast`];
  const slowly = { ...LIMITS, ioWriteBps: 16_384, ioPaths: [disk as string] };
  const quickly = { ...LIMITS, ioWriteBps: 1_000 * MEBIBYTE, ioPaths: [disk as string] };
  driver.create(slow, slowly);
  driver.create(fast, quickly);
  const late = writer(slow, slowly, "slow");
  await once(writer(fast, quickly, "fast"), "exit");
  assert.deepEqual([late.exitCode, late.signalCode], [null, null], "2 MiB at 16 KiB a second take two minutes");
  const written = driver.usage(fast).io;
  assert.ok(written && written.writtenBytes >= 32 * 65_536 && written.writes >= 32);
  await removeTree(driver, slow);
  driver.remove(fast);
});

test("reads are held back likewise, by operations", { skip: noDisk }, async () => {
  const [slow, fast] = [`${own}/few`, `${own}/many`];
  execFileSync("dd", ["if=/dev/zero", `of=${disk}/data`, "bs=64k", "count=32", "conv=fsync"], { stdio: "ignore" });
  const rarely = { ...LIMITS, ioReadIops: 2 };
  const often = { ...LIMITS, ioReadIops: 1_000_000 };
  driver.create(slow, rarely);
  driver.create(fast, often);
  const reader = (group: string, limits: GroupLimits, count: number) =>
    inGroup(driver, group, limits, [
      "dd",
      `if=${disk}/data`,
      "of=/dev/null",
      "bs=4k",
      `count=${count}`,
      "iflag=direct",
    ]);
  const late = reader(slow, rarely, 100);
  await once(reader(fast, often, 512), "exit");
  assert.deepEqual([late.exitCode, late.signalCode], [null, null], "100 reads at two a second take most of a minute");
  assert.ok((driver.usage(fast).io?.reads ?? 0) >= 512);
  await removeTree(driver, slow);
  driver.remove(fast);
});

test("a path tells its disk, and one on no disk is refused", () => {
  if (disk) assert.match(diskOfPath(disk), /^\d+:\d+$/);
  assert.throws(() => diskOfPath("/proc/self"), CgroupsError);
  assert.throws(() => diskOfPath("/none"), /cannot be looked up/);
});

test("a group can be idle, and has the usual weight afterwards", () => {
  const group = `${own}/idle`;
  driver.create(group, { ...LIMITS, cpus: 1, cpuWeight: 50 });
  driver.setCpuIdle(group, true);
  assert.equal(driver.isCpuIdle(group), true);
  driver.setCpuIdle(group, false);
  assert.deepEqual([driver.isCpuIdle(group), driver.cpuWeight(group)], [false, 100]);
  driver.remove(group);
});

test("a limit that cannot be kept is refused by its name", () => {
  const refused = (limits: Partial<GroupLimits>) => {
    try {
      assertSupported(driver, { ...LIMITS, ...limits });
    } catch (error) {
      assert.ok(error instanceof UnsupportedLimitError);
      return error.limit;
    }
    return null;
  };
  assert.equal(refused({}), null);
  assert.equal(refused({ cpuWeight: 10_000, ioReadBps: 2, ioWriteIops: 2 }), null);
  assert.equal(refused({ cpuWeight: 0 }), "cpuWeight");
  assert.equal(refused({ cpuWeight: 10_001 }), "cpuWeight");
  assert.equal(refused({ ioWriteBps: 1 }), "ioWriteBps");
  assert.equal(refused({ ioReadIops: 1.5 }), "ioReadIops");
  assert.equal(refused({ memoryHighBytes: MEBIBYTE }), driver.version === 1 ? "memoryHighBytes" : null);
});
