/**
 * The same by another hand: strace has real system calls of a zygote fail, at each of their turns
 * in a launch, until one launch has no such call left to fail.
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import { groupsOf, ownerGroup } from "../../../sandbox-core/cgroup/sweep.ts";
import { SandboxError } from "../../../sandbox-core/contract/error.ts";
import type { Launcher } from "../../../sandbox-core/contract/sandbox.ts";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { eventually } from "../../helpers/eventually.ts";
import { LIMITS, openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";

const cgroups = detectCgroups();
const ROOMY = { memoryBytes: 256 << 20 };
const MOST_TURNS = 120;

/**
 * Calls as the kernel names them, with an error that it may give, and the name in our message where
 * it is another.
 */
const CALLS: [call: string, errno: string, name?: string][] = [
  ["clone", "EAGAIN", "fork"],
  ["setns", "EPERM"],
  ["pidfd_open", "EMFILE"],
  ["unshare", "ENOSPC"],
  ["mount", "ENOMEM"],
  ["pivot_root", "EINVAL"],
  ["umount2", "EBUSY"],
  ["chdir", "EACCES"],
  // By a regular expression, as architectures have it under several names.
  ["/chmod", "EROFS", "chmod"],
  ["sethostname", "EPERM"],
  ["setgroups", "EPERM"],
  ["setresgid", "EPERM"],
  ["setresuid", "EAGAIN"],
  ["prctl", "EINVAL"],
  ["capset", "EPERM"],
  ["seccomp", "ENOMEM"],
  ["close_range", "EBADF"],
  ["connect", "ECONNREFUSED"],
  ["socket", "ENFILE"],
  ["prlimit64", "EPERM", "setrlimit"],
];

/**
 * Has the call of that turn fail in the zygote and in all that it forks. It is another harmless
 * call for the kernel then, as a filter would end a process for the number -1 that strace writes
 * there otherwise.
 */
async function tamper(zygote: number, call: string, errno: string, turn: number): Promise<AsyncDisposable> {
  const inject = `inject=${call}:error=${errno}:syscall=getpid:when=${turn}`;
  const args = ["-f", "-p", String(zygote), "-o", "/dev/null", "-e", `trace=${call}`, "-e", inject];
  const strace = spawn("strace", args, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(strace, "close");
  for await (const text of strace.stderr.setEncoding("utf8").iterator({ destroyOnReturn: false }))
    if (text.includes("attached")) break;
  return {
    async [Symbol.asyncDispose]() {
      strace.kill("SIGTERM");
      await ended;
    },
  };
}

/** Why a launch was refused, or null when it was not. */
async function refusal(launcher: Launcher): Promise<string | null> {
  try {
    const sandbox = await launcher.launch({ ...LIMITS, ...ROOMY });
    sandbox.stdio.resume();
    // Its first word, or its end.
    await Promise.race([once(sandbox.wire, "data"), sandbox.exited]);
    sandbox.kill("the test is over");
    const { reason } = await sandbox.exited;
    return reason === "the test is over" ? null : (reason ?? "");
  } catch (error) {
    assert.ok(error instanceof SandboxError);
    return error.message;
  }
}

async function nothingLeft(launcher: ZygoteLauncher): Promise<void> {
  const zygote = await launcher.zygotePid();
  await eventually(() => readFileSync(`/proc/${zygote}/task/${zygote}/children`, "utf8") === "");
  assert.deepEqual(groupsOf(cgroups, ownerGroup(zygote)), []);
}

const { error } = spawnSync("strace", ["-V"]);
const skip = error ? "strace is not installed: apt-get install strace" : false;

/** What a program's lock-in does otherwise than a fork's. */
const CALLS_OF_PROGRAMS: typeof CALLS = [
  ["mount", "ENOMEM"],
  ["chdir", "EACCES"],
  ["close_range", "EBADF"],
  ["execve", "ENOEXEC"],
];

for (const [kind, calls] of [["fork", CALLS] as const, ["exec", CALLS_OF_PROGRAMS] as const])
  describe(`${kind}: a real system call that fails is named, and leaves nothing`, { skip }, () => {
    let launcher: ZygoteLauncher;
    before(async () => {
      // strace does not find a fork that is there already.
      launcher = await openTestLauncher({ kind, forksAhead: false });
    });
    after(() => launcher.close());

    for (const [call, errno, name = call] of calls)
      it(call, async () => {
        let said: string | null = "";
        let turn = 0;
        while (said !== null && turn < MOST_TURNS) {
          const zygote = await launcher.zygotePid();
          {
            await using _ = await tamper(zygote, call, errno, ++turn);
            said = await refusal(launcher);
          }
          if (said !== null) assert.match(said, new RegExp(`\\b${name}\\b.*${errno}`));
          await nothingLeft(launcher);
        }
        assert.ok(turn > 1, "there was no such call");
        assert.equal(said, null, "there is no end of such calls");
        await using _client = await SandboxClient.blank(launcher, ROOMY);
      });
  });
