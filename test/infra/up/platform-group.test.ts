import assert from "node:assert/strict";
import { test } from "node:test";
import { openPlatformGroup } from "../../../infra/up/platform-group.ts";
import type { CgroupDriver } from "../../../sandbox-core/cgroup/driver.ts";

/** A machine whose kernel refuses to make groups, or to move processes. */
function refusing(what: "createCpuGroup" | "moveForCpu"): CgroupDriver {
  const refuse = () => {
    throw Object.assign(new Error(`EACCES: permission denied, ${what}`), { code: "EACCES", path: "/sys/fs/cgroup" });
  };
  const parts = { createCpuGroup: () => {}, moveForCpu: () => {}, setCpuWeight: () => {}, children: () => [] };
  return { version: 1, ...parts, members: () => [], remove: () => {}, [what]: refuse } as unknown as CgroupDriver;
}

test("where there can be no group, everything goes on without one, and a note says why", async () => {
  const notes: string[] = [];
  const note = (text: string) => void notes.push(text);
  assert.equal(openPlatformGroup(note, null), null);
  assert.deepEqual(notes, []);
  assert.equal(openPlatformGroup(note, refusing("createCpuGroup")), null);
  assert.match(notes.join("\n"), /^warning: .*no control group of their own.*\/sys\/fs\/cgroup/);
});

test("a process that cannot be moved stays where it is, and a note says why", async () => {
  const notes: string[] = [];
  const group = openPlatformGroup((text) => void notes.push(text), refusing("moveForCpu"));
  group?.add(process.pid);
  assert.match(notes.join("\n"), /^warning: .*no control group of their own.*moveForCpu/);
  await group?.close();
});
