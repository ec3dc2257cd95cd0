/** How many sandboxes a machine can have, by each limit that they take of. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { capacities } from "../../../sandbox-core/host/capacity.ts";

const FILES: Record<string, string> = {
  "/proc/sys/kernel/pid_max": "32768\n",
  "/proc/sys/kernel/threads-max": "6400\n",
  "/proc/sys/net/core/bpf_jit_limit": "264241152\n",
  "/proc/sys/user/max_net_namespaces": "700\n",
  "/proc/sys/user/max_mnt_namespaces": "900\n",
  "/proc/self/limits": "Max open files            1024                 4096                 files\n",
};

const bySubject = (found: ReturnType<typeof capacities>) =>
  Object.fromEntries(found.map(({ of, sandboxes }) => [of, sandboxes]));

test("each limit is shared by what a sandbox takes of it, and the lowest of several counts", () => {
  const found = bySubject(capacities(5_000, (path) => FILES[path] ?? null));
  assert.equal(found["user ids"], 5_000);
  assert.equal(found["process ids"], 100);
  assert.equal(found.namespaces, 700);
  assert.equal(found["open files"], 2_048);
  assert.ok(Number(found["BPF JIT"]) > 10_000 && Number(found["BPF JIT"]) < 100_000, String(found["BPF JIT"]));
});

test("a limit that the kernel does not have is not named", () => {
  const found = capacities(1, () => null);
  assert.deepEqual(
    found.map(({ of }) => of),
    ["user ids", "memory", "control groups"],
  );
});
