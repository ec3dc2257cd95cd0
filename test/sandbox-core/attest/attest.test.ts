/** The attestation finds every wall that stands, and names every one that does not. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  type Attestation,
  assertWalls,
  attest,
  badAllowances,
  judge,
  MissingWallsError,
} from "../../../sandbox-core/attest/attest.ts";
import type { Posture } from "../../../sandbox-core/attest/posture.ts";
import { DEGRADABLE, WALLS } from "../../../sandbox-core/attest/walls.ts";
import type { Generation } from "../../../sandbox-core/launcher/generation.ts";
import { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { RUNTIME_NODE_FLAGS } from "../../../sandbox-core/runtime/flags.ts";
import { openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";

const directory = mkdtempSync(join(tmpdir(), "sandpiper-attest-"));
const module = new URL("../../helpers/knock-out-module.ts", import.meta.url);
module.searchParams.set("directory", directory);
const zygoteFlags = ["--import", module.href];
const plan = (wall: string) => writeFileSync(join(directory, "plan"), wall);

let zygote: Generation;
let launcher: ZygoteLauncher;
let found: Attestation;
const look = () => attest({ kind: "fork", facts: zygote.facts, probe: (limits) => zygote.probe(limits) });

before(async () => {
  plan("");
  launcher = await ZygoteLauncher.open({
    nodeFlags: [...RUNTIME_NODE_FLAGS, "--single-threaded", ...zygoteFlags],
    // One that is there already would have the walls of before.
    forksAhead: false,
    ...{ uidBase: 1_700_000, uidCount: 65_536 },
    way: {
      approve: async (generation) => {
        zygote = generation;
      },
    },
  });
  found = await look();
});
after(async () => {
  await launcher.close();
  rmSync(directory, { recursive: true });
});

test("on this machine every wall stands", () => {
  assert.deepEqual(found.missing, []);
  assertWalls(found, []);
});

test("it says what the kernel says of the sandbox", () => {
  const { namespaces, user, cgroup, seccomp, limits } = found.posture;
  for (const { sandbox, host } of Object.values(namespaces))
    assert.match(`${sandbox} ${host}`, /^\w+:\[\d+\] \w+:\[\d+\]$/);
  assert.equal(user.uidMap, `1000 ${user.given} 1`);
  assert.deepEqual([cgroup.memoryBytes, cgroup.swapBytes, cgroup.tasks], [limits.memoryBytes, 0, limits.pids]);
  assert.match(seccomp.sha256, /^[0-9a-f]{64}$/);
});

/** Walls whose absence can be had for real: the fork is locked in without them. */
const KNOCKED_OUT = [
  "ipc-namespace",
  "uts-namespace",
  "cgroup-namespace",
  "network-namespace",
  "egress",
  "user",
  "capabilities",
  "seccomp",
  "landlock",
  "root",
  "proc",
  "descriptors",
  "not-dumpable",
  "resource-limits",
  "memory-limit",
  "socket-memory",
  "swap-limit",
  "cpu-limit",
  "task-limit",
];

for (const wall of KNOCKED_OUT)
  test(`without ${wall} it is missed`, async () => {
    plan(wall);
    const { missing } = await look();
    assert.ok(
      missing.some(({ name }) => name === wall),
      JSON.stringify(missing),
    );
  });

/** What a posture would show, wall by wall; a wall may show its absence in several ways. */
const BREAKS: Record<string, ((posture: Posture) => void)[]> = {
  ...Object.fromEntries(
    (
      [
        ["user-namespace", "user"],
        ["mount-namespace", "mnt"],
        ["pid-namespace", "pid"],
        ["network-namespace", "net"],
        ["ipc-namespace", "ipc"],
        ["uts-namespace", "uts"],
        ["cgroup-namespace", "cgroup"],
        ["time-namespace", "time"],
      ] as const
    ).map(([name, kind]) => [
      name,
      [
        ({ namespaces }: Posture) => Object.assign(namespaces[kind], { sandbox: namespaces[kind].host }),
        ({ namespaces }: Posture) => Object.assign(namespaces[kind], { sandbox: null, host: null }),
      ],
    ]),
  ),
  egress: [
    (posture) => Object.assign(posture, { egressReached: false }),
    ({ attempts }) => Object.assign(attempts, { "connect to a declared address": "ENETUNREACH" }),
    ({ attempts }) => Object.assign(attempts, { "connect to an address beside it": "succeeded" }),
    ({ attempts }) => Object.assign(attempts, { "connect to it at another port": "succeeded" }),
    ({ attempts }) => Object.assign(attempts, { "listen at a declared port": "succeeded" }),
    ({ attempts }) => delete attempts["connect to an address beside it"],
  ],
  user: [
    ({ user }) => Object.assign(user, { uids: [0, 0, 0, 0] }),
    ({ user }) => Object.assign(user, { groups: [0] }),
    ({ user }) => Object.assign(user, { setgroups: "allow" }),
    ({ user }) => Object.assign(user, { uidMap: "0 0 4294967295" }),
    ({ attempts }) => Object.assign(attempts, { "become root": "succeeded" }),
  ],
  capabilities: [({ capabilities }) => Object.assign(capabilities, { CapBnd: "0000000000000001" })],
  "no-new-privileges": [(posture) => Object.assign(posture, { noNewPrivileges: false })],
  seccomp: [
    ({ seccomp }) => Object.assign(seccomp, { mode: 0 }),
    ({ seccomp }) => Object.assign(seccomp, { filters: 1 }),
    ({ attempts }) => Object.assign(attempts, { "make a ring of io_uring": "ENOSYS" }),
    ({ attempts }) => delete attempts["start a program"],
  ],
  landlock: [
    ({ landlock }) => Object.assign(landlock, { abi: 0 }),
    ({ landlock, attempts }) => {
      Object.assign(landlock, { abi: 6 });
      Object.assign(attempts, { "use a device's ioctl": "ENOTTY" });
    },
    ({ landlock, attempts }) => {
      Object.assign(landlock, { abi: 1 });
      Object.assign(attempts, { "move a file to another directory": "succeeded" });
    },
  ],
  root: [
    ({ mounts }) => Object.assign(mounts[0] ?? {}, { options: ["rw", "nosuid", "nodev", "noexec"] }),
    ({ mounts }) => Object.assign(mounts[0] ?? {}, { type: "ext4" }),
    ({ mounts }) => mounts.push({ point: "/host", type: "ext4", root: "/", source: "/dev/vda", options: ["ro"] }),
    ({ mounts }) =>
      mounts.push({
        point: "/x",
        type: "overlay",
        root: "/",
        source: "x",
        options: ["ro", "nosuid", "nodev", "noexec"],
      }),
    ({ attempts }) => Object.assign(attempts, { "read /etc/shadow": "succeeded" }),
  ],
  proc: [
    ({ attempts }) => Object.assign(attempts, { "open /proc/kcore": "succeeded" }),
    ({ attempts }) => Object.assign(attempts, { "count the machine's sockets": "succeeded" }),
  ],
  descriptors: [
    ({ descriptors }) => Object.assign(descriptors, { 9: "io_uring" }),
    (posture) => {
      Object.assign(posture, { refusesDescriptors: true });
      Object.assign(posture.attempts, { "send a descriptor to the worker": "succeeded" });
    },
  ],
  environment: [(posture) => Object.assign(posture, { environment: 12 })],
  "not-dumpable": [(posture) => Object.assign(posture, { dumpable: true })],
  "resource-limits": [
    ({ resourceLimits }) => Object.assign(resourceLimits, { "core file size": null }),
    ({ resourceLimits }) => Object.assign(resourceLimits, { processes: 2113 }),
  ],
  "memory-limit": [
    ({ cgroup }) => Object.assign(cgroup, { memoryBytes: null }),
    ({ cgroup, limits }) => Object.assign(cgroup, { memoryBytes: limits.memoryBytes + 1 }),
  ],
  "socket-memory": [
    ({ attempts }) => Object.assign(attempts, { "have one connection more wait": "succeeded" }),
    ({ attempts }) => Object.assign(attempts, { "have a large buffer before it is accepted": "succeeded" }),
  ],
  "swap-limit": [
    ({ cgroup }) => Object.assign(cgroup, { swapBytes: null }),
    ({ cgroup }) => Object.assign(cgroup, { swapBytes: 4_096 }),
  ],
  "cpu-limit": [({ cgroup }) => Object.assign(cgroup, { cpus: null })],
  "task-limit": [({ cgroup }) => Object.assign(cgroup, { tasks: null })],
};

test("every wall can be missing, and is named alone when it alone is", () => {
  assert.deepEqual(Object.keys(BREAKS).sort(), WALLS.map(({ name }) => name).sort());
  for (const [wall, breaks] of Object.entries(BREAKS))
    breaks.forEach((damage, index) => {
      const posture = structuredClone(found.posture);
      damage(posture);
      assert.deepEqual(
        judge(posture).map(({ name }) => name),
        [wall],
        `${wall}, ${index}`,
      );
    });
});

test("what programs need to start is no flaw where they are started", () => {
  const posture = structuredClone(found.posture);
  const { attempts } = posture;
  Object.assign(attempts, { "start a program": "ENOENT", "make a file in memory": "succeeded" });
  assert.equal(judge(posture)[0]?.name, "seccomp");
  // They have no forks that share a user.
  Object.assign(posture.resourceLimits, { processes: posture.limits.pids });
  assert.deepEqual(judge({ ...posture, launcher: "exec" }), []);
});

test("a missing wall is refused by name, with what it is for and what to do", () => {
  const missing = [
    { name: "seccomp", flaw: "there is no system-call filter" },
    { name: "landlock", flaw: "the kernel has no Landlock" },
  ];
  assert.throws(
    () => assertWalls({ ...found, missing }, ["seccomp", "swap-limit"]),
    (error: MissingWallsError) => {
      assert.deepEqual(error.walls, ["seccomp", "landlock"]);
      assert.match(error.message, /seccomp: there is no system-call filter\. Without it, .*cannot be done without/);
      assert.match(error.message, /landlock: .*--allow-degraded=landlock/);
      return true;
    },
  );
  assertWalls({ ...found, missing: missing.slice(1) }, ["landlock"]);
});

test("only walls that may be missing can be allowed to be", () => {
  assert.deepEqual(badAllowances(DEGRADABLE), []);
  assert.match(badAllowances(["seccomp"]).join(), /seccomp may never be missing/);
  assert.match(badAllowances(["landlok"]).join(), /no wall named "landlok"/);
});

test("a launcher whose sandboxes lack a wall does not open", async () => {
  plan("landlock");
  await assert.rejects(openTestLauncher({ zygoteFlags }), MissingWallsError);
});

for (const wall of DEGRADABLE)
  test(`a launcher that may do without ${wall} opens without it, says so, and launches`, async () => {
    plan(wall);
    const heard: Attestation[] = [];
    const onAttested = (attestation: Attestation) => heard.push(attestation);
    const allowed = await openTestLauncher({ zygoteFlags, allowDegraded: [wall], onAttested });
    assert.deepEqual(
      heard.flatMap(({ missing }) => missing.map(({ name }) => name)),
      [wall],
    );
    assert.equal(await SandboxClient.evaluate(allowed, "6 * 7"), 42);
    await allowed.close();
  });

test("a zygote that is renewed is looked at again, and takes over only when all walls stand", async () => {
  plan("");
  const refused = Promise.withResolvers<unknown>();
  const own = await openTestLauncher({
    zygoteFlags,
    renewal: { forks: 1, ageMs: 3_600_000 },
    onTrouble: (_message, cause) => refused.resolve(cause),
  });
  const old = await own.zygotePid();
  plan("capabilities");
  const sandbox = await own.launch(found.posture.limits);
  assert.ok((await refused.promise) instanceof MissingWallsError);
  assert.equal(await own.zygotePid(), old);
  sandbox.kill("the test is over");
  await own.close();
});

test("docs/SECURITY-MODEL.md lists exactly the walls, and says which may be missing", () => {
  const text = readFileSync(new URL("../../../docs/SECURITY-MODEL.md", import.meta.url), "utf8");
  const rows = [...text.matchAll(/^\| `([a-z-]+)` \| .* \| (yes|no) \|$/gm)].map(([, name, may]) => `${name} ${may}`);
  assert.deepEqual(
    rows,
    WALLS.map(({ name }) => `${name} ${DEGRADABLE.includes(name) ? "yes" : "no"}`),
  );
});
