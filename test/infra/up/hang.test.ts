/** Which processes hang and which do not, as real processes in real control groups. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { HangWatch } from "../../../infra/up/hang.ts";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import { createOwnerGroup, ownerGroup, removeTree } from "../../../sandbox-core/cgroup/sweep.ts";
import { inGroup } from "../../helpers/cgroup.ts";

const SPIN = ["sh", "-c", "echo on; while :; do :; done"];
const driver = detectCgroups();
const own = ownerGroup(process.pid);
const children: ChildProcess[] = [];

before(() => createOwnerGroup(driver, own));
after(async () => {
  for (const child of children) child.kill("SIGKILL");
  await removeTree(driver, own);
});

function start(command: readonly string[]): ChildProcess {
  const child = spawn(command[0] as string, command.slice(1), { stdio: ["ignore", "pipe", "ignore"] });
  children.push(child);
  return child;
}

const pidOf = (child: ChildProcess) => child.pid as number;

/** Watches; `hung` resolves with what is said of it, and is null until then. */
function watch(pid: number, limitMs: number) {
  const said = Promise.withResolvers<string>();
  const seen: { why: string | null } = { why: null };
  const hang = new HangWatch(pid, limitMs, (why) => {
    seen.why = why;
    said.resolve(why);
  });
  return { hang, said: said.promise, seen };
}

test("one that sleeps, one that runs in circles and one that was stopped hang, each in words of its own", async () => {
  const sleeper = start(["sleep", "1000"]);
  const spinner = start(SPIN);
  const stopped = start(["sleep", "1000"]);
  process.kill(pidOf(stopped), "SIGSTOP");
  const all = [sleeper, spinner, stopped].map((child) => watch(pidOf(child), 1_000).said);
  const [asleep, spinning, halted] = await Promise.all(all);
  assert.match(String(asleep), /^no sign of life for \d+ s, while its main thread slept in the kernel/);
  assert.match(String(spinning), /its main thread ran without end/);
  assert.match(String(halted), /its main thread was stopped by a signal/);
});

test("one that gives signs of life does not hang, and one that is gone neither", async () => {
  const living = watch(pidOf(start(["sleep", "1000"])), 2_000);
  const gone = start(["true"]);
  const goneWatch = watch(pidOf(gone), 1_000);
  await once(gone, "exit");
  const beats = setInterval(() => living.hang.heard(), 100);
  await watch(pidOf(start(["sleep", "1000"])), 4_000).said;
  clearInterval(beats);
  assert.deepEqual([living.seen.why, goneWatch.seen.why], [null, null]);
  living.hang.stop();
  goneWatch.hang.stop();
});

test("one that could run and gets no processor time does not hang, however long that lasts", async () => {
  const limits = { memoryBytes: 64 << 20, cpus: 0.02, pids: 8 };
  driver.create(`${own}/starved`, limits);
  const child = inGroup(driver, `${own}/starved`, limits, SPIN);
  children.push(child);
  await once(child.stdout, "data");
  const starved = watch(pidOf(child), 1_000);
  await watch(pidOf(start(["sleep", "1000"])), 4_000).said;
  assert.equal(starved.seen.why, null);
  starved.hang.stop();
});
