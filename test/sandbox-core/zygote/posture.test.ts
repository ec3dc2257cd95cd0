/** What a sandbox looks like from outside, as /proc tells it: every wall that is there by its own evidence. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { after, before, test } from "node:test";
import type { ZygoteLauncher } from "../../../sandbox-core/zygote/launcher.ts";
import { openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";

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

test("seven namespaces are its own", () => {
  for (const kind of ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"]) {
    const [inside, outside] = [readlinkSync(`${proc}/ns/${kind}`), readlinkSync(`/proc/self/ns/${kind}`)];
    assert.notEqual(inside, outside, kind);
  }
});

test("no two sandboxes share a namespace or a user", async () => {
  await using other = await SandboxClient.blank(launcher);
  for (const kind of ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"])
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

test("it holds no descriptor but its own: the wire, its output, and what libuv made inside", () => {
  const open = readdirSync(`${proc}/fd`).map((fd) => readlinkSync(`${proc}/fd/${fd}`).replace(/\[?\d+\]?$/, ""));
  assert.deepEqual(open.sort(), [
    "/dev/null",
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

test("its mounts are the root, five devices, proc and tmp, and nothing of the host's", () => {
  const mounts = readFileSync(`${proc}/mountinfo`, "utf8")
    .trim()
    .split("\n")
    .map((line) => {
      const [, , , , point, options = ""] = line.split(" ");
      const [type] = line.slice(line.indexOf(" - ") + 3).split(" ");
      return [point, type, options];
    });
  const device = "rw,nosuid,noexec,relatime";
  assert.deepEqual(mounts, [
    ["/", "tmpfs", "ro,nosuid,nodev,noexec,relatime"],
    ["/dev", "tmpfs", "ro,nosuid,noexec,relatime"],
    ...["null", "zero", "full", "random", "urandom"].map((name) => [`/dev/${name}`, "devtmpfs", device]),
    ["/proc", "proc", "rw,nosuid,nodev,noexec,relatime"],
    ["/tmp", "tmpfs", "rw,nosuid,nodev,noexec,relatime"],
  ]);
});

test("its environment, limits and memory are what they should be", () => {
  assert.equal(readFileSync(`${proc}/environ`, "latin1"), "");
  const limits = readFileSync(`${proc}/limits`, "utf8");
  for (const line of [/core file size +0 +0/i, /processes +64 +64/i, /open files +1024 +1024/i, /locked memory +0 +0/i])
    assert.match(limits, line);
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
  for (const line of own) assert.ok(line.endsWith(`/${client.sandbox.id}`), line);
});
