/** The next sandbox of a zygote, made whole before anybody asks for it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import { groupsOf, ownerGroup } from "../../../sandbox-core/cgroup/sweep.ts";
import type { SandboxLimits } from "../../../sandbox-core/contract/sandbox.ts";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { eventually } from "../../helpers/eventually.ts";
import { LIMITS, openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";
import { childrenOf, isRoots, sandboxesOf } from "../../helpers/zygotes.ts";

const cgroups = detectCgroups();

async function open() {
  const launcher = await openTestLauncher();
  return Object.assign(launcher, { [Symbol.asyncDispose]: () => launcher.close() });
}

async function launchAndEnd(launcher: ZygoteLauncher, limits: Partial<SandboxLimits> = {}): Promise<number> {
  await using client = await SandboxClient.blank(launcher, limits);
  return client.sandbox.pid;
}

/** The sandbox that waits, once the launched one is gone and nothing else is made. */
async function waitingOf(launcher: ZygoteLauncher): Promise<number> {
  const zygote = await launcher.zygotePid();
  await eventually(() => childrenOf(zygote).length === 2 && sandboxesOf(zygote).length === 1);
  return sandboxesOf(zygote)[0] as number;
}

const isGone = (pid: number) =>
  eventually(() => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  });

/** Files of the kernel's, and what they hold for 64 MiB, 7 tasks and half a processor. */
function shownLimits(group: string): [file: string, text: string][] {
  const at = (controller: string, file: string) =>
    `/sys/fs/cgroup/${cgroups.version === 1 ? `${controller}/` : ""}${group}/${file}`;
  const pids: [string, string] = [at("pids", "pids.max"), "7"];
  return cgroups.version === 1
    ? [pids, [at("memory", "memory.limit_in_bytes"), "67108864"], [at("cpu", "cpu.cfs_quota_us"), "50000"]]
    : [pids, [at("memory", "memory.max"), "67108864"], [at("cpu", "cpu.max"), "50000 100000"]];
}

describe("the sandbox that is made ahead", () => {
  it("is the next that is launched, and there is another one then; none of them is counted", async () => {
    await using launcher = await open();
    await launchAndEnd(launcher);
    for (let launch = 0; launch < 3; launch++) {
      const waiting = await waitingOf(launcher);
      assert.equal(launcher.count, 0);
      assert.equal(isRoots(waiting), false, "it is locked in");
      assert.equal(await launchAndEnd(launcher), waiting);
    }
  });

  it("serves many launches at once, each with a sandbox of its own", async () => {
    await using launcher = await open();
    await launchAndEnd(launcher);
    await waitingOf(launcher);
    const clients = await Promise.all(Array.from({ length: 6 }, () => SandboxClient.blank(launcher)));
    assert.equal(new Set(clients.map(({ sandbox }) => sandbox.pid)).size, 6);
    assert.equal(new Set(clients.map(({ sandbox }) => sandbox.hostUid)).size, 6);
    assert.equal(launcher.count, 6);
    for (const client of clients) await client[Symbol.asyncDispose]();
    assert.equal(launcher.count, 0);
  });

  it("is never given away when it died: the launch makes its own, and another waits then", async () => {
    await using launcher = await open();
    await launchAndEnd(launcher);
    const zygote = await launcher.zygotePid();
    const waiting = await waitingOf(launcher);
    // A zygote that stands still has not told of the death.
    process.kill(zygote, "SIGSTOP");
    process.kill(waiting, "SIGKILL");
    await eventually(() => /^State:\tZ/m.test(readFileSync(`/proc/${waiting}/status`, "utf8")));
    const launched = launchAndEnd(launcher);
    setImmediate(() => process.kill(zygote, "SIGCONT"));
    assert.notEqual(await launched, waiting);
    await isGone(waiting);
    const next = await waitingOf(launcher);
    assert.notEqual(next, waiting);
    process.kill(next, "SIGKILL");
    await isGone(next);
    assert.notEqual(await launchAndEnd(launcher), next);
    assert.equal(await launcher.zygotePid(), zygote);
  });

  it("stays when one launch wants other limits, and is replaced when a second does", async () => {
    await using launcher = await open();
    await launchAndEnd(launcher);
    const waiting = await waitingOf(launcher);
    const other = { tmpBytes: LIMITS.tmpBytes * 2 };
    assert.notEqual(await launchAndEnd(launcher, other), waiting);
    assert.equal(await waitingOf(launcher), waiting);
    assert.notEqual(await launchAndEnd(launcher, other), waiting);
    await isGone(waiting);
    const next = await waitingOf(launcher);
    assert.equal(await launchAndEnd(launcher, other), next);
  });

  it("has the limits of its launch: memory, tasks, processors, /tmp", async () => {
    await using launcher = await open();
    const limits = { memoryBytes: LIMITS.memoryBytes / 2, pids: 7, cpus: 0.5, tmpBytes: 1_048_576 };
    await launchAndEnd(launcher, limits);
    const waiting = await waitingOf(launcher);
    const code = `
      import * as fs from "node:fs";
      let calls = 0;
      export default () => {
        if (calls++ === 0) {
          try { fs.writeFileSync("/tmp/a", Buffer.alloc(2_000_000)); return new Response("written"); }
          catch (error) { return new Response(error.code); }
        }
        for (const kept = []; ; ) kept.push(Buffer.alloc(8_000_000, 1));
      };`;
    await using client = await SandboxClient.with(launcher, code, { limits });
    assert.equal(client.sandbox.pid, waiting);
    const own = groupsOf(cgroups, ownerGroup(await launcher.zygotePid()));
    const group = own.find((path) => cgroups.members(path).includes(waiting)) as string;
    for (const [file, text] of shownLimits(group)) assert.equal(readFileSync(file, "utf8").trim(), text, file);
    assert.equal(await client.text(), "ENOSPC");
    client.text().catch(() => undefined);
    const { usage } = await client.sandbox.exited;
    assert.ok(usage.oomKills > 0);
  });

  it("ends with its launcher, with its zygote, and when the launcher is to have none", async () => {
    const closed = await openTestLauncher();
    await launchAndEnd(closed);
    const [first, zygote] = [await waitingOf(closed), await closed.zygotePid()];
    await closed.close();
    await isGone(first);
    assert.deepEqual(groupsOf(cgroups, ownerGroup(zygote)), []);

    await using launcher = await open();
    await launchAndEnd(launcher);
    const second = await waitingOf(launcher);
    process.kill(await launcher.zygotePid(), "SIGKILL");
    await isGone(second);
    assert.notEqual(await launchAndEnd(launcher), second);

    const third = await waitingOf(launcher);
    await launcher.retire();
    await isGone(third);
    assert.equal(launcher.count, 0);
  });
});
