/** Limits are found where control groups are seen as in a container. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ATTESTED_LIMITS } from "../../../sandbox-core/attest/attest.ts";
import type { CgroupPosture } from "../../../sandbox-core/attest/cgroup.ts";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import { directoriesIn, removeDirectory } from "../../../sandbox-core/cgroup/files.ts";
import { cgroupMounts } from "../../../sandbox-core/cgroup/mounts.ts";

const CHILD = fileURLToPath(import.meta.resolve("./fixtures/attested-child.ts"));
const GROUP = `sandpiper-test-container-${process.pid}`;
const UID_BASE = 2_395_000;
// No process enters a group of the controller cpuset, which nobody here uses, while it is empty.
const mounts = cgroupMounts().filter(({ controllers }) => !controllers.includes("cpuset"));
const isV2 = detectCgroups().version === 2;

before(() => {
  for (const { directory } of mounts) mkdirSync(join(directory, GROUP));
});
after(() => {
  for (const { directory } of mounts) {
    // What a launcher leaves that found a part of the hierarchy: the group of all sandboxes.
    for (const name of directoriesIn(join(directory, GROUP))) removeDirectory(join(directory, GROUP, name));
    removeDirectory(join(directory, GROUP));
  }
});

/** Attests from inside of the group, with namespaces and mounts of its own. */
function attestIn({ namespace, bind }: { namespace: boolean; bind: boolean }) {
  const enter = mounts.map(({ directory }) => `echo $$ > ${directory}/${GROUP}/cgroup.procs`);
  const binds = bind ? mounts.map(({ directory }) => `mount --bind ${directory}/${GROUP} ${directory}`) : [];
  const inside = [...binds, `exec ${process.execPath} ${CHILD} ${UID_BASE}`].join(" && ");
  const unshare = `exec unshare --mount ${namespace ? "--cgroup" : ""} sh -c '${inside}'`;
  const output = execFileSync("sh", ["-c", [...enter, unshare].join(" && ")], { encoding: "utf8" });
  return JSON.parse(output) as { cgroup: CgroupPosture; missing: unknown[] };
}

const CASES = [
  { namespace: true, bind: false },
  { namespace: false, bind: true },
  { namespace: true, bind: true },
];

for (const { namespace, bind } of CASES)
  test(`with ${namespace ? "a namespace" : "no namespace"} and ${bind ? "a bind of its own group" : "the host's mounts"} all limits are found`, {
    // A group of version 2 with processes in it limits none below it.
    skip: isV2 && bind,
  }, () => {
    const { cgroup, missing } = attestIn({ namespace, bind });
    assert.deepEqual(missing, []);
    const { memoryBytes, cpus, pids } = ATTESTED_LIMITS;
    assert.deepEqual([cgroup.memoryBytes, cgroup.cpus, cgroup.tasks], [memoryBytes, cpus, pids]);
  });
