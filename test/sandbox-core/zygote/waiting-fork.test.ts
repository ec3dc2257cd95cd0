/** The fork that a zygote makes ahead of its next launch. */
import assert from "node:assert/strict";
import { readFileSync, readlinkSync } from "node:fs";
import { test } from "node:test";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import { groupsOf, ownerGroup } from "../../../sandbox-core/cgroup/sweep.ts";
import { Box, Zygote } from "../../../sandbox-core/index.ts";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { eventually } from "../../helpers/eventually.ts";
import { LIMITS, openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";
import { childrenOf } from "../../helpers/zygotes.ts";

/** Waits until this and nothing else is a child of the zygote's. */
async function waitingForkOf(zygote: number): Promise<number> {
  await eventually(() => childrenOf(zygote).length === 1);
  return childrenOf(zygote)[0] as number;
}

async function isGone(pid: number): Promise<void> {
  await eventually(() => {
    try {
      return /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    } catch {
      return true;
    }
  });
}

async function launchAndKill(launcher: ZygoteLauncher): Promise<number> {
  await using client = await SandboxClient.blank(launcher);
  return client.sandbox.pid;
}

/** Has a zygote make a fork ahead. */
async function madeAhead(launcher: ZygoteLauncher): Promise<{ zygote: number; waiting: number }> {
  const zygote = await launcher.zygotePid();
  await launchAndKill(launcher);
  return { zygote, waiting: await waitingForkOf(zygote) };
}

test("the next sandbox is the fork that was made ahead, and there is another one then", async () => {
  const launcher = await openTestLauncher({ sandboxesAhead: false });
  try {
    for (let launch = 0; launch < 3; launch++) {
      const { waiting } = await madeAhead(launcher);
      assert.equal(await launchAndKill(launcher), waiting);
    }
  } finally {
    await launcher.close();
  }
});

test("a fork made ahead is in namespaces and a group of its own, and in its zygote's root as its zygote's user", async () => {
  const launcher = await openTestLauncher({ sandboxesAhead: false });
  try {
    const { zygote, waiting } = await madeAhead(launcher);
    const ofWaiting = (name: string) => readlinkSync(`/proc/${waiting}/${name}`);
    const isOwn = (name: string) => ofWaiting(`ns/${name}`) !== readlinkSync(`/proc/${zygote}/ns/${name}`);
    await eventually(() => ["pid", "net", "ipc", "uts", "cgroup"].every(isOwn));
    assert.deepEqual(["mnt", "user"].filter(isOwn), []);
    assert.equal(ofWaiting("root"), "/");
    const [group = "", ...others] = groupsOf(detectCgroups(), ownerGroup(zygote));
    assert.deepEqual(others, []);
    assert.deepEqual(detectCgroups().members(group), [waiting]);
  } finally {
    await launcher.close();
  }
});

test("a launch with other limits has a fork of its own, and that made ahead ends with its group", async () => {
  const launcher = await openTestLauncher({ sandboxesAhead: false });
  try {
    const { zygote, waiting } = await madeAhead(launcher);
    await using client = await SandboxClient.blank(launcher, { pids: LIMITS.pids + 1 });
    assert.notEqual(client.sandbox.pid, waiting);
    await isGone(waiting);
    await eventually(() => groupsOf(detectCgroups(), ownerGroup(zygote)).length <= 2);
  } finally {
    await launcher.close();
  }
});

test("a box in the host's network is there although the fork made ahead is not", async () => {
  await using zygote = await Zygote.open();
  const own = readlinkSync("/proc/self/ns/net");
  for (const network of ["none", "none", "host", "none"] as const) {
    const { stdout } = await Box.run(zygote, { argv: ["/bin/readlink", "/proc/self/ns/net"], network });
    assert.equal(stdout.toString().trim() === own, network === "host", network);
  }
});

test("a fork made ahead that died is replaced, and the zygote is the same", async () => {
  const launcher = await openTestLauncher({ sandboxesAhead: false });
  try {
    const { zygote, waiting } = await madeAhead(launcher);
    process.kill(waiting, "SIGKILL");
    await isGone(waiting);
    const pids = await Promise.all([launchAndKill(launcher), launchAndKill(launcher)]);
    assert.ok(!pids.includes(waiting));
    assert.equal(await launcher.zygotePid(), zygote);
    assert.notEqual(await waitingForkOf(zygote), waiting);
  } finally {
    await launcher.close();
  }
});

test("a fork made ahead ends with its zygote, however that ends", async () => {
  const closed = await openTestLauncher({ sandboxesAhead: false });
  const { waiting: first } = await madeAhead(closed);
  await closed.close();
  await isGone(first);
  const killed = await openTestLauncher({ sandboxesAhead: false });
  try {
    const { zygote, waiting: second } = await madeAhead(killed);
    process.kill(zygote, "SIGKILL");
    await isGone(second);
  } finally {
    await killed.close();
  }
});

test("nothing is made ahead when nobody wants it, or for a first box", async () => {
  const launcher = await openTestLauncher({ forksAhead: false });
  try {
    await launchAndKill(launcher);
    await launchAndKill(launcher);
    assert.deepEqual(childrenOf(await launcher.zygotePid()), []);
  } finally {
    await launcher.close();
  }
});

test("a box made of it has the pipes of its own launch", async () => {
  await using zygote = await Zygote.open();
  for (const word of ["one", "two", "three"]) {
    const { stdout } = await Box.run(zygote, { argv: ["/bin/cat"], input: word });
    assert.equal(stdout.toString(), word);
  }
});
