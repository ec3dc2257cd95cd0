/**
 * A sandbox's limits, figures and freezer as whoever holds it has them; tried from inside by what
 * runs in it.
 */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import { groupsOf, ownerGroup } from "../../../sandbox-core/cgroup/sweep.ts";
import { UnsupportedLimitError } from "../../../sandbox-core/contract/error.ts";
import type { SandboxLimits } from "../../../sandbox-core/contract/sandbox.ts";
import { programBinds, programPath } from "../../../sandbox-core/host/open.ts";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { forkBomb } from "../../helpers/cgroup.ts";
import { eventually } from "../../helpers/eventually.ts";
import { evaluating, LIMITS, openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";

const cgroups = detectCgroups();
const BUSY =
  "(() => { const end = process.cpuUsage().user + 100_000; while (process.cpuUsage().user < end); return 1; })()";
const LIBRARIES = ["/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"];

let launcher: ZygoteLauncher;
before(async () => {
  // Else there is a group more, that of the fork made ahead.
  launcher = await openTestLauncher({ forksAhead: false });
});
after(() => launcher.close());

/** Where a descriptor leads; nowhere when it is closed by now. */
function readlinkIfThere(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** Starts a program that writes to one connection. */
function start(argv: string[], limits: Partial<SandboxLimits>, binds: ReturnType<typeof programBinds> = []) {
  const [binary = "", ...rest] = argv;
  const program = {
    argv: [programPath(binary), ...rest],
    env: {},
    binds: [...programBinds(binary, LIBRARIES), ...binds],
    workingDirectory: "/",
  };
  return launcher.start({
    limits: { ...LIMITS, ...limits },
    connections: [{ name: "output", fds: [1, 2] }],
    program,
  });
}

test("figures of a living sandbox are all there, and null once it is gone", async () => {
  await using client = await SandboxClient.with(launcher, evaluating(BUSY), { limits: { cpus: 0.1 } });
  assert.equal(await client.text(), "1");
  const stats = client.sandbox.stats();
  assert.ok(stats);
  assert.ok(stats.cpuMs > 100 && stats.memoryBytes > 0 && stats.peakMemoryBytes >= stats.memoryBytes);
  assert.ok(stats.throttledMs > 0, "a tenth of a processor is less than it wanted");
  assert.ok(stats.tasks >= 1);
  assert.equal(stats.frozen, false);
  assert.equal(stats.pressure !== null, cgroups.version === 2);
  client.sandbox.kill("looked at");
  const { usage } = await client.sandbox.exited;
  assert.ok(usage.throttledMs >= stats.throttledMs);
  assert.equal(client.sandbox.stats(), null);
});

test("a sandbox is at work while it runs or is held back, and not while it waits", async () => {
  await using client = await SandboxClient.with(
    launcher,
    evaluating("fs.writeSync(1, 'begun'), (() => { for (;;); })()"),
    {
      limits: { cpus: 0.05 },
    },
  );
  await eventually(() => !client.sandbox.isAtWork);
  client.request();
  await eventually(() => client.lastWords.includes("begun"));
  const heldBackMs = () => client.sandbox.stats()?.throttledMs ?? 0;
  for (const untilMs = heldBackMs() + 300; heldBackMs() < untilMs; await turn())
    assert.ok(client.sandbox.isAtWork, "it wants more than it gets");
  await client[Symbol.asyncDispose]();
  assert.equal(client.sandbox.isAtWork, false);
});

test("files of a group are open from the first look at its figures until its sandbox is killed, not after", async () => {
  await using client = await SandboxClient.with(launcher, evaluating(BUSY));
  const { sandbox } = client;
  const open = () =>
    readdirSync("/proc/self/fd")
      .map((fd) => readlinkIfThere(`/proc/self/fd/${fd}`))
      .filter((path) => path.includes(`-${sandbox.hostUid}/`));
  assert.deepEqual(open(), []);
  const { cpuMs } = sandbox.usage();
  assert.ok(cpuMs > 0);
  assert.notDeepEqual(open(), []);
  // What it uses after the last look, and before its end, is its own too.
  await client.text();
  sandbox.kill("looked at");
  assert.deepEqual(open(), [], "the kernel would keep the removed group's directory for them");
  const { cpuMs: atTheKill } = sandbox.usage();
  assert.ok(atTheKill >= cpuMs + 90, `${atTheKill} ms, of which ${cpuMs} before the last look`);
  await sandbox.exited;
});

test("a frozen sandbox does not answer while another does, and answers when it is thawed", async () => {
  await using frozen = await SandboxClient.with(launcher, evaluating("1 + 1"));
  await using other = await SandboxClient.with(launcher, evaluating("2 + 2"));
  await frozen.sandbox.freeze();
  assert.equal(frozen.sandbox.stats()?.frozen, true);
  let answered = false;
  const answer = frozen.text().then((text) => {
    answered = true;
    return text;
  });
  assert.equal(await other.text(), "4");
  assert.equal(answered, false);
  await frozen.sandbox.thaw();
  assert.equal(await answer, "2");
});

test("a frozen sandbox can be killed, leaves nothing, and cannot be frozen again", async () => {
  const client = await SandboxClient.blank(launcher);
  await client.sandbox.freeze();
  client.sandbox.kill("while frozen");
  const { signal, reason } = await client.sandbox.exited;
  assert.deepEqual([signal, reason], [9, "while frozen"]);
  await assert.rejects(client.sandbox.freeze(), /has ended/);
  await client.sandbox.thaw();
  assert.deepEqual(groupsOf(cgroups, ownerGroup(await launcher.zygotePid())), []);
});

test("a sandbox that is killed while it is being frozen ends all the same", async () => {
  const client = await SandboxClient.blank(launcher);
  const freezing = client.sandbox.freeze().catch((error: Error) => error);
  client.sandbox.kill("at once");
  await client.sandbox.exited;
  await freezing;
  assert.deepEqual(groupsOf(cgroups, ownerGroup(await launcher.zygotePid())), []);
});

test("a frozen sandbox ends with its zygote", async () => {
  const own = await openTestLauncher();
  const client = await SandboxClient.blank(own);
  await client.sandbox.freeze();
  const zygote = await own.zygotePid();
  process.kill(zygote, "SIGKILL");
  assert.match((await client.sandbox.exited).reason ?? "", /zygote died/);
  assert.equal(existsSync(`/proc/${client.sandbox.pid}/exe`), false);
  await own.close();
  assert.deepEqual(groupsOf(cgroups, ownerGroup(zygote)), []);
});

test("a fork bomb inside stays within its tasks, and a kill ends it while it bombs", async () => {
  const sandbox = await start(
    ["/bin/sh", ...forkBomb(programPath("/bin/sleep"))],
    { pids: 24 },
    programBinds("/bin/sleep"),
  );
  sandbox.socket("output").resume();
  for (let most = 0; most < 8; await turn()) {
    const stats = sandbox.stats();
    assert.ok(stats && stats.tasks <= 24);
    most = stats.tasks;
  }
  sandbox.kill("enough");
  assert.equal((await sandbox.exited).signal, 9);
  assert.deepEqual(groupsOf(cgroups, ownerGroup(await launcher.zygotePid())), []);
});

test("reads of a disk are held back inside, and counted", async (context) => {
  if (cgroups.lacks.ioReadBps) return context.skip(cgroups.lacks.ioReadBps);
  const directory = mkdtempSync("/var/tmp/sandpiper-read-");
  context.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "data");
  writeFileSync(file, Buffer.alloc(1 << 20, 1), { flush: true });
  const bind = { source: file, target: "/data", kind: "file", executable: false } as const;
  const read = ["/bin/dd", "if=/data", "of=/dev/null", "bs=64k", "iflag=direct"];
  const fast = () => start(read, { ioReadBps: 1 << 30, ioPaths: [directory] }, [bind]);
  const ended = async (sandbox: Awaited<ReturnType<typeof fast>>) => {
    sandbox.socket("output").resume();
    return await sandbox.exited;
  };
  const { code, usage } = await ended(await fast());
  assert.equal(code, 0);
  assert.ok(usage.io && usage.io.readBytes >= 1 << 20 && usage.io.reads >= 16);
  // The program itself is in memory by now: a sandbox that has to read it from the disk is held
  // back in that as well.
  const slow = await start(read, { ioReadBps: 1_024 }, [bind]);
  slow.socket("output").resume();
  assert.equal((await ended(await fast())).code, 0);
  assert.ok(slow.stats(), "a mebibyte at a kibibyte a second takes a quarter of an hour");
  slow.kill("it would take long");
  assert.equal((await slow.exited).signal, 9);
});

test("limits that cannot be kept are refused by name, and nothing is made", async () => {
  const cases: Partial<SandboxLimits>[] = [{ cpuWeight: 0 }, { ioWriteBps: 0.5 }];
  if (cgroups.version === 1) cases.push({ memoryHighBytes: 1 << 20 });
  for (const limits of cases)
    await assert.rejects(launcher.launch({ ...LIMITS, ...limits }), (error) => {
      assert.ok(error instanceof UnsupportedLimitError);
      assert.equal(error.limit, Object.keys(limits)[0]);
      return true;
    });
  await assert.rejects(launcher.launch({ ...LIMITS, ioReadBps: 2, ioPaths: ["/proc"] }), /no disk is behind \/proc/);
  assert.deepEqual(groupsOf(cgroups, ownerGroup(await launcher.zygotePid())), []);
});
