/**
 * What a sandbox looks like from outside, as /proc tells it: every wall that is there by its own
 * evidence.
 */
import assert from "node:assert/strict";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";

const NAMESPACES = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"];

let launcher: ZygoteLauncher;
let client: SandboxClient;
let proc: string;

before(async () => {
  launcher = await openTestLauncher();
  client = await SandboxClient.blank(launcher);
  proc = `/proc/${client.sandbox.pid}`;
});
after(() => launcher.close());

const status = () =>
  Object.fromEntries(
    readFileSync(`${proc}/status`, "utf8")
      .split("\n")
      .map((line) => [line.split(":")[0] ?? "", line.slice(line.indexOf(":") + 1).trim()]),
  );

test("eight namespaces are its own", () => {
  for (const kind of NAMESPACES) {
    const [inside, outside] = [readlinkSync(`${proc}/ns/${kind}`), readlinkSync(`/proc/self/ns/${kind}`)];
    assert.notEqual(inside, outside, kind);
  }
});

test("its clocks are the host's, and its zygote is in the host's time namespace", async () => {
  const offsets = readFileSync(`${proc}/timens_offsets`, "utf8").match(/-?\d+/g);
  assert.deepEqual(offsets, ["0", "0", "0", "0"]);
  assert.equal(readlinkSync(`/proc/${await launcher.zygotePid()}/ns/time`), readlinkSync("/proc/self/ns/time"));
});

test("no two sandboxes share a namespace or a user", async () => {
  await using other = await SandboxClient.blank(launcher);
  for (const kind of NAMESPACES)
    assert.notEqual(readlinkSync(`${proc}/ns/${kind}`), readlinkSync(`/proc/${other.sandbox.pid}/ns/${kind}`), kind);
  assert.notEqual(other.sandbox.hostUid, client.sandbox.hostUid);
});

test("it is nobody: one host user and group of its own, no supplementary group, one-line maps", () => {
  const { hostUid } = client.sandbox;
  const { Uid, Gid, Groups } = status();
  assert.equal(Uid, Array(4).fill(hostUid).join("\t"));
  assert.equal(Gid, Array(4).fill(hostUid).join("\t"));
  assert.equal(Groups, "");
  for (const map of ["uid_map", "gid_map"])
    assert.deepEqual(readFileSync(`${proc}/${map}`, "utf8").trim().split(/\s+/), ["1000", String(hostUid), "1"]);
  assert.equal(readFileSync(`${proc}/setgroups`, "utf8"), "deny\n");
});

test("no capability in any set, no new privileges, a filter, nothing that a core dump could take", () => {
  const { CapInh, CapPrm, CapEff, CapBnd, CapAmb, NoNewPrivs, Seccomp } = status();
  for (const set of [CapInh, CapPrm, CapEff, CapBnd, CapAmb]) assert.equal(set, "0000000000000000");
  assert.equal(NoNewPrivs, "1");
  assert.equal(Seccomp, "2");
});

test("it is the first process of its pid namespace, with one thread", () => {
  const { NSpid, Threads } = status();
  assert.equal(NSpid, `${client.sandbox.pid}\t1`);
  assert.equal(Threads, "1");
});

test("it holds no descriptor but its own: the wire, its output, and what libuv made inside, and its /tmp", () => {
  const open = readdirSync(`${proc}/fd`).map((fd) => readlinkSync(`${proc}/fd/${fd}`).replace(/\[?\d+\]?$/, ""));
  assert.deepEqual(open.sort(), [
    "/dev/null",
    "/scratch",
    "anon_inode:[eventfd]",
    "anon_inode:[eventpoll]",
    "pipe:",
    "pipe:",
    "pipe:",
    "pipe:",
    "socket:",
    "socket:",
    "socket:",
  ]);
});

test("its mounts are the root, dev, proc and tmp, and nothing of the host's", () => {
  const mounts = readFileSync(`${proc}/mountinfo`, "utf8")
    .replaceAll(",inode64", "")
    .trim()
    .split("\n")
    .map((line) => {
      const [own = "", rest = ""] = line.split(" - ");
      const [, , , root, point, options] = own.split(" ");
      const [type, source, ofSuperblock] = rest.split(" ");
      return [root, point, options, type, source, ofSuperblock];
    });
  const layers = "ro,lowerdir=files:empty,redirect_dir=nofollow";
  const closed = "nosuid,nodev,noexec,relatime";
  assert.deepEqual(mounts, [
    ["/", "/", `ro,${closed}`, "overlay", "sandpiper", layers],
    ["/dev", "/dev", "ro,nosuid,noexec,relatime", "overlay", "sandpiper", layers],
    ["/", "/proc", `ro,${closed}`, "proc", "proc", "ro,hidepid=invisible,subset=pid"],
    ["/", "/scratch", `rw,${closed}`, "tmpfs", "tmp", "rw,size=16384k,nr_inodes=1000"],
  ]);
});

test("its devices are the five that it should have, by number, and anybody's", () => {
  const nodes = readdirSync(join(proc, "root", "dev"))
    .map((name) => [name, lstatSync(join(proc, "root", "dev", name))] as const)
    .filter(([, found]) => !found.isSymbolicLink())
    .map(([name, found]) => [name, found.isCharacterDevice(), found.rdev, found.mode & 0o777]);
  assert.deepEqual(nodes.sort(), [
    ["full", true, 0x107, 0o666],
    ["null", true, 0x103, 0o666],
    ["random", true, 0x108, 0o666],
    ["urandom", true, 0x109, 0o666],
    ["zero", true, 0x105, 0o666],
  ]);
});

test("no inode of its devices is the host's, so that no lock on one is seen outside", () => {
  for (const name of ["null", "urandom"])
    assert.notEqual(lstatSync(join(proc, "root", "dev", name)).dev, lstatSync(`/dev/${name}`).dev);
});

test("its files in proc are root's, as it cannot be dumped", () => {
  for (const name of ["environ", "mem", "maps"]) assert.equal(lstatSync(`${proc}/${name}`).uid, 0);
});

test("its environment is empty", () => assert.equal(readFileSync(`${proc}/environ`, "latin1"), ""));

test("its limits are what they should be, soft and hard", () => {
  const limits = readFileSync(`${proc}/limits`, "utf8")
    .trim()
    .split("\n")
    .slice(1)
    // Columns of 26 and 21 characters, as proc_pid_limits in fs/proc/base.c writes them.
    .map((line) => [line.slice(4, 26).trim(), line.slice(26, 47).trim(), line.slice(47, 68).trim()]);
  const open = ["cpu time", "data size", "resident set", "address space", "file locks", "realtime timeout"];
  assert.deepEqual(
    Object.fromEntries(limits.map(([name, ...values]) => [name, values])),
    Object.fromEntries(
      Object.entries({
        ...Object.fromEntries(open.map((name) => [name, "unlimited"])),
        "core file size": "0",
        "file size": String(1 << 30),
        "locked memory": "0",
        "msgqueue size": "0",
        "nice priority": "0",
        "open files": "1024",
        "pending signals": "256",
        processes: "2112",
        "realtime priority": "0",
        "stack size": String(8 << 20),
      }).map(([name, limit]) => [name, [limit, limit]]),
    ),
  );
});

test("nothing of it is a ring of io_uring, and neither has its zygote one to share", async () => {
  for (const pid of [client.sandbox.pid, await launcher.zygotePid()])
    assert.equal(readFileSync(`/proc/${pid}/maps`, "utf8").includes("io_uring"), false);
});

test("its cgroups carry its limits, on every controller", () => {
  const own = readFileSync(`${proc}/cgroup`, "utf8")
    .split("\n")
    .filter((line) => line.includes("/sandpiper/"));
  assert.ok(own.length === 4 || own.length === 1, own.join("\n"));
  for (const line of own) assert.ok(line.endsWith(`-${client.sandbox.hostUid}`), line);
});
