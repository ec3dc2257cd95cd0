/** The group of the platform's processes, in the real control groups of this machine. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import type { CgroupDriver } from "../../../sandbox-core/cgroup/driver.ts";
import { PlatformGroup, whyNotMoved } from "../../../sandbox-core/cgroup/platform-group.ts";
import { ownerGroup, sweepDead } from "../../../sandbox-core/cgroup/sweep.ts";

const driver = detectCgroups();

/** A shell that starts a process of its own for each line, and says when. */
async function startShell(t: TestContext) {
  const child = spawn("/bin/sh", ["-c", "while read line; do cat /proc/self/cgroup; echo end; done"], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const gone = once(child, "exit");
  t.after(() => child.kill("SIGKILL") && gone);
  await once(child, "spawn");
  return { child, pid: child.pid as number };
}

/** The group of each hierarchy, by its controllers. */
function groupsOf(text: string): Map<string, string> {
  const lines = text.split("\n").map((line) => line.split(":"));
  return new Map(lines.filter((parts) => parts.length === 3).map(([, name = "", group = ""]) => [name, group]));
}

const groupsOfProcess = (pid: number) => groupsOf(readFileSync(`/proc/${pid}/cgroup`, "utf8"));
const isForCpu = (name: string) => (driver.version === 2 ? name === "" : name.split(",").includes("cpu"));

test("holds a process and what it starts, by the processors alone on version 1, and outweighs sandboxes", async (t) => {
  const { child, pid } = await startShell(t);
  const group = PlatformGroup.open(driver);
  t.after(() => group.close());
  const before = groupsOfProcess(pid);
  group.add(pid);
  const after = groupsOfProcess(pid);
  for (const [name, now] of after) {
    if (isForCpu(name)) assert.ok(now.endsWith(`/${group.path}`), `${name}: ${now}`);
    else assert.equal(now, before.get(name), name);
  }
  let told = "";
  child.stdout.on("data", (bytes: Buffer) => {
    told += bytes;
  });
  child.stdin.write("go\n");
  while (!told.includes("end\n")) await once(child.stdout, "data");
  assert.deepEqual(groupsOf(told), after);
  assert.equal(driver.cpuWeight(group.path), 10_000);
});

test("several of a process have names of their own; closing removes one and leaves the other", async (t) => {
  const { child, pid } = await startShell(t);
  const [first, second] = [PlatformGroup.open(driver), PlatformGroup.open(driver)];
  t.after(() => second.close());
  first.add(pid);
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
  // A process that has ended needs no group.
  first.add(pid);
  await first.close();
  const left = driver.children("sandpiper").map((name) => `sandpiper/${name}`);
  assert.deepEqual([left.includes(first.path), left.includes(second.path)], [false, true]);
});

test("a sweep leaves the group of a process that lives, and removes that of one that is gone", async (t) => {
  const group = PlatformGroup.open(driver);
  t.after(() => group.close());
  const orphaned = "sandpiper/999999-1-platform-0";
  driver.createCpuGroup(orphaned);
  await sweepDead(driver);
  const left = driver.children("sandpiper").map((name) => `sandpiper/${name}`);
  assert.deepEqual([left.includes(group.path), left.includes(orphaned)], [true, false]);
  assert.ok(group.path.startsWith(ownerGroup(process.pid)));
});

test("processes of a systemd service stay in its group on version 2, and those of a session are moved", () => {
  const of = (version: 1 | 2, group: string) => whyNotMoved({ version } as CgroupDriver, `0::${group}\n`);
  assert.match(of(2, "/system.slice/sandpiper.service") ?? "", /systemd's sandpiper\.service/);
  assert.match(of(2, "/system.slice/sandpiper.service/main") ?? "", /systemd's sandpiper\.service/);
  for (const group of [
    "/",
    "/init",
    "/user.slice/user-0.slice/session-1.scope",
    "/user.slice/user@0.service/app.scope",
  ])
    assert.equal(of(2, group), null, group);
  assert.equal(of(1, "/system.slice/sandpiper.service"), null);
});
