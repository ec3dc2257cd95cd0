/** Mounts of control groups, as containers have them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { cgroupMounts, groupBelow } from "../../../sandbox-core/cgroup/mounts.ts";

test("a group is found below a mount that shows a part of its hierarchy, or more than the namespace", () => {
  const cases: [root: string, group: string, below: string | null][] = [
    ["/", "/sandpiper/1", "/sandpiper/1"],
    ["/", "/", "/"],
    // A bind of a part, without a namespace.
    ["/docker/ab", "/docker/ab/sandpiper/1", "/sandpiper/1"],
    ["/docker/ab", "/docker/ab", "/"],
    ["/docker/ab", "/docker/abc/sandpiper", null],
    ["/docker/ab", "/elsewhere", null],
    // A namespace, and the host's mount.
    ["/../..", "/../../sandpiper/1", "/sandpiper/1"],
    ["/../..", "/sandpiper/1", null],
    ["/", "/../sandpiper/1", null],
  ];
  for (const [root, group, below] of cases) assert.equal(groupBelow(root, group), below, `${group} below ${root}`);
});

test("a mount that another one covers is none, and names are as they are", () => {
  const found = cgroupMounts(
    [
      "1 0 0:1 / / rw - ext4 /dev/vda rw",
      "2 1 0:2 /../a\\040b /cg\\040one rw,nosuid master:1 - cgroup cgroup rw,memory",
      "3 2 0:3 / /cg\\040one ro - cgroup cgroup rw,memory",
      "4 1 0:4 / /two rw - cgroup2 cgroup2 rw,nsdelegate",
    ].join("\n"),
  );
  assert.deepEqual(
    found.map(({ directory, root, version, writable }) => [directory, root, version, writable]),
    [
      ["/cg one", "/", 1, false],
      ["/two", "/", 2, true],
    ],
  );
  assert.ok(found[0]?.controllers.includes("memory"));
  assert.deepEqual(found[1]?.controllers, []);
});
