/**
 * Every system call of a launch made to fail in turn, inside a real zygote: the tenant's code never
 * runs, the launch says which call it was, nothing is left behind, and the zygote makes the next
 * sandbox.
 */
import assert from "node:assert/strict";
import { basename } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import { ROOT_GROUP } from "../../../sandbox-core/cgroup/driver.ts";
import { ownerGroup } from "../../../sandbox-core/cgroup/sweep.ts";
import { SandboxError } from "../../../sandbox-core/contract/error.ts";
import type { Launcher } from "../../../sandbox-core/contract/sandbox.ts";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { FaultyLauncher, type Recorded, type Side } from "../../helpers/faults.ts";
import { LIMITS, SandboxClient } from "../../helpers/sandbox-client.ts";
import { stretched } from "../../helpers/slowness.ts";
import { WireClient } from "../../helpers/wire-client.ts";

/** Room enough for a Node that starts by itself. */
const ROOMY = { memoryBytes: 256 << 20 };
/** Readings of libuv's pipe: what they give is what is judged. */
const SILENT = new Set(["readlink"]);
/** Calls that are told of by the name of what could not be done. */
const TOLD_AS: Record<string, string> = { posixSpawn: "execve" };
const cgroups = detectCgroups();
const LOOK_AGAIN_MS = 5;
const MOST_LOOKS = stretched(1_000);

/** The calls of one side, while a sandbox is made, comes to life and ends. */
async function record(faulty: FaultyLauncher, side: Side): Promise<Recorded[]> {
  faulty.plan({ record: true });
  await launchAndKill(faulty.launcher);
  return faulty.recorded().filter((call) => call.side === side);
}

async function launchAndKill(launcher: ZygoteLauncher): Promise<void> {
  await using _client = await SandboxClient.blank(launcher, ROOMY);
}

/**
 * Launches, and gives what was said of it: the refusal, or how a sandbox that never came to life
 * ended.
 */
async function refusal(launcher: Launcher): Promise<string> {
  const sandbox = await launcher.launch({ ...LIMITS, ...ROOMY }).catch((error: unknown) => error);
  if (sandbox instanceof Error) {
    assert.ok(sandbox instanceof SandboxError, sandbox.stack);
    return sandbox.message;
  }
  const { wire, stdio, exited } = sandbox as Awaited<ReturnType<Launcher["launch"]>>;
  const client = new WireClient(wire, exited);
  let lastWords = "";
  for await (const text of stdio) lastWords += text;
  await assert.rejects(client.next("ready"), /The runtime is gone/);
  const { code, reason } = await exited;
  assert.notEqual(code, 0);
  return `${reason ?? ""}${lastWords}`;
}

/** Launches and ends what was launched; what is refused says so by an error of ours. */
async function livesOrIsRefused(launcher: Launcher): Promise<void> {
  try {
    const sandbox = await launcher.launch(LIMITS);
    for (const socket of [sandbox.wire, sandbox.stdio]) socket.resume();
    sandbox.kill("the test is over");
    await sandbox.exited;
  } catch (error) {
    assert.ok(error instanceof SandboxError, (error as Error).stack);
  }
}

/** Waits until nothing is there that was not before: the ends of sockets come a moment later. */
async function nothingLeft(faulty: FaultyLauncher, before: unknown): Promise<void> {
  for (let look = 1; look < MOST_LOOKS; look++) {
    if (JSON.stringify(await faulty.leftovers()) === JSON.stringify(before)) return;
    await delay(LOOK_AGAIN_MS);
  }
  assert.deepEqual(await faulty.leftovers(), before);
}

for (const kind of ["fork", "exec"] as const) {
  test(`${kind}: a call of the lock-in that fails makes no sandbox and leaves nothing`, async () => {
    await using faulty = await FaultyLauncher.open({ kind });
    const { launcher } = faulty;
    await launchAndKill(launcher);
    const calls = await record(faulty, "child");
    assert.ok(calls.length > 100, `${calls.length} calls`);
    const zygote = await launcher.zygotePid();
    const before = await faulty.leftovers();
    for (const { side, name, at } of calls) {
      faulty.plan({ fault: { side, at, code: "EPERM" } });
      const said = await refusal(launcher);
      const told = TOLD_AS[name] ?? name;
      if (!SILENT.has(name)) assert.match(said, new RegExp(`\\b${told}\\b.*EPERM|EPERM.*\\b${told}\\b`), `call ${at}`);
      faulty.plan();
      await nothingLeft(faulty, before);
      if (kind === "fork") await launchAndKill(launcher);
    }
    await launchAndKill(launcher);
    await nothingLeft(faulty, before);
    assert.equal(await launcher.zygotePid(), zygote);
  });

  test(`${kind}: a lock-in of which nothing works any more, its last words included, ends all the same`, async () => {
    await using faulty = await FaultyLauncher.open({ kind });
    await launchAndKill(faulty.launcher);
    const zygote = await faulty.launcher.zygotePid();
    const before = await faulty.leftovers();
    for (const at of [1, 4, 20, 60, 100]) {
      faulty.plan({ fault: { side: "child", at, code: "EIO", lasting: true } });
      await refusal(faulty.launcher);
      faulty.plan();
      await nothingLeft(faulty, before);
    }
    await launchAndKill(faulty.launcher);
    assert.equal(await faulty.launcher.zygotePid(), zygote);
  });
}

/** What the kernel may answer when it is short of something, or in a hurry. */
const SHORTAGES: Record<string, string> = {
  fork: "EAGAIN",
  pidfd_open: "EMFILE",
  mkdir: "ENOSPC",
  rmdir: "EBUSY",
  epoll_ctl: "ENOSPC",
  open: "ENFILE",
  write: "EIO",
};

test("a failing call of the zygote's own is a refusal, or the end of it, and another serves", async () => {
  await using faulty = await FaultyLauncher.open();
  const { launcher } = faulty;
  await launchAndKill(launcher);
  const before = await faulty.leftovers();
  const seen = new Set<string>();
  for (const { side, name, at } of await record(faulty, "zygote")) {
    const zygote = await launcher.zygotePid();
    const group = basename(ownerGroup(zygote));
    seen.add(name);
    faulty.plan({ fault: { side, at, code: SHORTAGES[name] ?? "EPERM" } });
    await livesOrIsRefused(launcher);
    faulty.plan();
    // This one may still meet a zygote that is about to die.
    await livesOrIsRefused(launcher);
    await launchAndKill(launcher);
    await nothingLeft(faulty, before);
    if ((await launcher.zygotePid()) !== zygote) assert.ok(!cgroups.children(ROOT_GROUP).includes(group), name);
  }
  for (const name of ["mkdir", "open", "unshare", "fork", "setns", "pidfd_open", "waitpid", "kill", "rmdir"])
    assert.ok(seen.has(name), name);
});

test("whatever hangs is ended: a lock-in that does not get on, and a zygote", async () => {
  await using slow = await FaultyLauncher.open();
  await using stuck = await FaultyLauncher.open();
  for (const { launcher } of [slow, stuck]) await launchAndKill(launcher);
  const zygote = await stuck.launcher.zygotePid();
  const before = await slow.leftovers();
  // Nobody reads its first word.
  (await slow.launcher.launch(LIMITS)).kill("the test is over");
  slow.plan({ fault: { side: "child", at: 30, code: "HANG" } });
  stuck.plan({ fault: { side: "zygote", at: 3, code: "HANG" } });
  await Promise.all([
    assert.rejects(slow.launcher.launch(LIMITS), /not locked in within/),
    assert.rejects(stuck.launcher.launch(LIMITS), /the zygote died \(SIG/),
  ]);
  for (const faulty of [slow, stuck]) faulty.plan();
  await launchAndKill(stuck.launcher);
  assert.notEqual(await stuck.launcher.zygotePid(), zygote);
  await nothingLeft(slow, before);
  await launchAndKill(slow.launcher);
});
