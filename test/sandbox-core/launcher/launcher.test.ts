/**
 * The life of launchers and sandboxes: how they end, what they tell of it, and that nothing is
 * left.
 */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import { groupsOf, ownerGroup } from "../../../sandbox-core/cgroup/sweep.ts";
import { SandboxError } from "../../../sandbox-core/contract/error.ts";
import { programBinds, programPath } from "../../../sandbox-core/host/open.ts";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { runProgram } from "../../../sandbox-core/launcher/run-program.ts";
import { evaluating, LIMITS, openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";
import { stretched } from "../../helpers/slowness.ts";

const MEBIBYTE = 1024 * 1024;
const cgroups = detectCgroups();

let launcher: ZygoteLauncher;
before(async () => {
  // Else there is a group more, that of the fork made ahead.
  launcher = await openTestLauncher({ forksAhead: false });
});
after(() => launcher.close());

/** Whether a process is gone, or dead and waiting for the host's init to collect it. */
function hasEnded(pid: number): boolean {
  const file = `/proc/${pid}/stat`;
  return !existsSync(file) || / [ZX] /.test(readFileSync(file, "utf8"));
}

test("forks are what this machine launches", () => assert.equal(launcher.kind, "fork"));

test("a kill ends a sandbox, with the reason and its use", async () => {
  await using client = await SandboxClient.blank(launcher);
  client.sandbox.kill("because");
  const exit = await client.sandbox.exited;
  assert.deepEqual([exit.code, exit.signal, exit.reason], [null, 9, "because"]);
  assert.ok(exit.usage.cpuMs > 0 && exit.usage.peakMemoryBytes > 0);
  client.sandbox.kill("again");
  assert.equal(client.sandbox.usage().peakMemoryBytes, exit.usage.peakMemoryBytes);
});

test("an exit code comes through", async () => {
  await using client = await SandboxClient.with(launcher, evaluating("process.exit(7)"));
  client.request();
  assert.equal((await client.sandbox.exited).code, 7);
});

test("memory beyond the limit is an out-of-memory kill by the cgroup's own counter", async () => {
  const bomb = "(() => { const all = []; for (;;) all.push(Buffer.alloc(8 << 20, 1)); })()";
  await using client = await SandboxClient.with(launcher, evaluating(bomb));
  client.request();
  const { usage, signal } = await client.sandbox.exited;
  assert.equal(signal, 9);
  assert.ok(usage.oomKills >= 1);
  assert.ok(usage.peakMemoryBytes <= LIMITS.memoryBytes);
});

test("a full JavaScript heap ends in V8's own words", async () => {
  const bomb = "(() => { const all = []; for (;;) all.push({ all: [all.length] }); })()";
  await using client = await SandboxClient.with(launcher, evaluating(bomb), {
    limits: { memoryBytes: 512 * MEBIBYTE },
  });
  client.request();
  const { usage, code } = await client.sandbox.exited;
  assert.equal(usage.oomKills, 0);
  assert.notEqual(code, 0);
  assert.match(client.lastWords, /JavaScript heap out of memory/);
});

test("processes and threads are bounded by the pids controller", async () => {
  const spawn = `childProcess.spawnSync("/none").error.code`;
  await using roomy = await SandboxClient.with(launcher, evaluating(spawn));
  assert.equal(await roomy.text(), '"EPERM"');
  await using full = await SandboxClient.with(launcher, evaluating(spawn), { limits: { pids: 1 } });
  assert.equal(await full.text(), '"EAGAIN"');
});

test("a sandbox whose limits the kernel refuses is not made, and leaves nothing", async () => {
  await assert.rejects(launcher.launch({ ...LIMITS, pids: -5 }), SandboxError);
  await assert.rejects(
    launcher.launch({ ...LIMITS, tmpInodes: "1,nonsense" as unknown as number }),
    /mount\(tmp, .*\) failed/,
  );
  assert.deepEqual(groupsOf(cgroups, ownerGroup(await launcher.zygotePid())), []);
});

test("ids are given back: more sandboxes one after the other than a block has ids", async () => {
  const seen = new Set<number>();
  for (let round = 0; round < 8; round++)
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        await using client = await SandboxClient.blank(launcher);
        assert.equal(
          readFileSync(`/proc/${client.sandbox.pid}/status`, "utf8").includes(`${client.sandbox.hostUid}`),
          true,
        );
        seen.add(client.sandbox.hostUid);
      }),
    );
  assert.equal(seen.size, 64);
  assert.deepEqual(groupsOf(cgroups, ownerGroup(await launcher.zygotePid())), []);
});

test("a zygote that holds more descriptors than a sandbox may have makes sandboxes all the same", async () => {
  const many = 'import fs from "node:fs"; for (let fd = 0; fd < 1_100;) fd = fs.openSync("/dev/null");';
  const own = await openTestLauncher({ zygoteFlags: ["--import", `data:text/javascript,${encodeURIComponent(many)}`] });
  try {
    // The second one's fork is made ahead.
    for (let count = 0; count < 3; count++) {
      await using client = await SandboxClient.with(own, evaluating("process.pid"));
      assert.equal(await client.text(), "1");
    }
  } finally {
    await own.close();
  }
});

test("when the zygote is killed its sandboxes end, and the next launch has a new one", async () => {
  const own = await openTestLauncher();
  const client = await SandboxClient.blank(own);
  const dead = await own.zygotePid();
  const group = ownerGroup(dead);
  process.kill(dead, "SIGKILL");
  const exit = await client.sandbox.exited;
  assert.match(exit.reason ?? "", /zygote died/);
  assert.ok(hasEnded(client.sandbox.pid));
  await using next = await SandboxClient.blank(own);
  assert.notEqual(await own.zygotePid(), dead);
  assert.ok(next.sandbox.pid);
  await next[Symbol.asyncDispose]();
  assert.deepEqual(groupsOf(cgroups, group), []);
  await own.close();
});

test("close ends everything: sandboxes, zygote, groups and directories", async () => {
  const directories = () => readdirSync("/run").filter((name) => name.startsWith(`sandpiper-run-${process.pid}-`));
  const before = directories();
  const own = await openTestLauncher();
  const client = await SandboxClient.blank(own);
  const group = ownerGroup(await own.zygotePid());
  const pid = await own.zygotePid();
  await own.close();
  await client.sandbox.exited;
  for (const gone of [pid, client.sandbox.pid]) assert.ok(hasEnded(gone));
  assert.deepEqual([cgroups.members(group), groupsOf(cgroups, group)], [[], []]);
  assert.deepEqual(directories(), before);
  await assert.rejects(own.launch(LIMITS), SandboxError);
});

test("what a killed worker left is removed by the next", async () => {
  const left = mkdtempSync("/run/sandpiper-run-999999-1-");
  const own = await openTestLauncher();
  assert.equal(existsSync(left), false);
  await own.close();
});

test("the exec launcher runs the same runtime in a process of its own, behind the same walls", async () => {
  const exec = await openTestLauncher({ kind: "exec" });
  assert.equal(exec.kind, "exec");
  const limits = { memoryBytes: 256 * MEBIBYTE };
  await using client = await SandboxClient.with(exec, evaluating(`[process.pid, fs.existsSync("/etc/shadow")]`), {
    limits,
  });
  assert.deepEqual(JSON.parse(await client.text()), [2, false]);
  const status = readFileSync(`/proc/${client.sandbox.pid}/status`, "utf8");
  assert.match(status, /CapBnd:\t0{16}\n/);
  assert.match(status, /Seccomp:\t2\n/);
  await client[Symbol.asyncDispose]();
  await exec.close();
});

test("a program runs with what it binds and nothing else", async () => {
  const libraries = ["/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"];
  const run = (argv: string[]) =>
    runProgram(launcher, {
      program: { argv, env: { GREETING: "hi" }, binds: programBinds("/usr/bin/env", libraries), workingDirectory: "/" },
      limits: LIMITS,
      timeoutMs: stretched(5_000),
      maxOutputBytes: 1_000,
    });
  const { code, stdout, stderr } = await run([programPath("/usr/bin/env")]);
  assert.deepEqual([code, stdout.toString(), stderr.toString()], [0, "GREETING=hi\n", ""]);
  assert.match((await run([programPath("/usr/bin/env"), "/bin/sh"])).stderr.toString(), /No such file/);
});

test("a program waits for its input, which its time begins with, and ends when nobody wants it", async () => {
  const libraries = ["/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"];
  const program = {
    argv: [programPath("/bin/sh"), "-c", "read line; echo got $line; read more || echo end"],
    env: {},
    binds: programBinds("/bin/sh", libraries),
    workingDirectory: "/",
  };
  const run = (input: Promise<Uint8Array>, timeoutMs: number) =>
    runProgram(launcher, { program, input, limits: LIMITS, timeoutMs, maxOutputBytes: 1_000 });
  const given = Promise.withResolvers<Uint8Array>();
  const answered = run(given.promise, stretched(5_000));
  given.resolve(Buffer.from("this\n"));
  assert.equal((await answered).stdout.toString(), "got this\nend\n");
  const waiting = Promise.withResolvers<Uint8Array>();
  const ended = run(waiting.promise, 1);
  // Another one comes and goes, and the time of the first has not begun.
  await run(Promise.resolve(Buffer.from("\n")), stretched(5_000));
  waiting.reject(new Error("never mind"));
  const { ended: why, stdout } = await ended;
  assert.deepEqual([why, stdout.toString()], ["not wanted", ""]);
});

test("a program that cannot be started is refused, not a result", async () => {
  const program = { argv: ["/none"], env: {}, binds: [], workingDirectory: "/" };
  const run = { program, limits: LIMITS, timeoutMs: stretched(5_000), maxOutputBytes: 1_000 };
  await assert.rejects(runProgram(launcher, run), /the program could not be started: execve\(\/none\) failed: ENOENT/);
});

test("a program that reads what strangers name sees no device but null, and no proc", async () => {
  const libraries = ["/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"];
  const { code, stdout } = await runProgram(launcher, {
    program: {
      argv: [
        programPath("/bin/sh"),
        "-c",
        "echo /* /dev/* /dev/.* /proc/* >&1; echo x > /dev/null; echo x > /tmp/x && echo written",
      ],
      env: {},
      root: "finite",
      binds: programBinds("/bin/sh", libraries),
      workingDirectory: "/",
    },
    limits: LIMITS,
    timeoutMs: 30_000,
    maxOutputBytes: 1_000,
  });
  assert.equal(code, 0);
  const [listing, ...rest] = stdout.toString().split("\n");
  const seen = String(listing)
    .split(" ")
    .filter((path) => /^\/(dev|proc)\/(?!\.{1,2}$)/.test(path));
  assert.deepEqual(seen, ["/dev/null", "/proc/*"]);
  assert.deepEqual(rest, ["written", ""]);
});

test("a program that does not end, or does not stop writing, is ended", async () => {
  const libraries = ["/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"];
  const run = (binary: string, argv: string[], timeoutMs: number, cpuMs?: number) =>
    runProgram(launcher, {
      ...(cpuMs !== undefined && { cpuMs }),
      program: {
        argv: [programPath(binary), ...argv],
        env: {},
        binds: programBinds(binary, libraries),
        workingDirectory: "/",
      },
      limits: LIMITS,
      timeoutMs,
      maxOutputBytes: 10_000,
    });
  assert.equal((await run("/usr/bin/sleep", ["60"], 100)).ended, "timeout");
  const spin = ["-c", "while :; do :; done"];
  assert.equal((await run("/bin/sh", spin, 600_000, 300)).ended, "cpu limit");
  assert.equal((await run("/bin/sh", ["-c", ":"], 600_000, 60_000)).ended, undefined);
  const flood = await run("/usr/bin/yes", [], stretched(30_000));
  assert.equal(flood.ended, "output limit");
  assert.ok(flood.stdout.length <= 10_000);
});
