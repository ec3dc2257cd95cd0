/** Which limit work reaches: a busy machine is told from work that takes long by itself. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, describe, it } from "node:test";
import { cpuMsOf, isAnyAtWork, ThreadLooks } from "../../../sandbox-core/launcher/tasks.ts";
import {
  describeOverrun,
  type Overrun,
  type Work,
  type WorkLimits,
  WorkWatch,
} from "../../../sandbox-core/launcher/work-limit.ts";

const NEVER_MS = 3_600_000;
const LIMITS: WorkLimits = { cpuMs: NEVER_MS, waitMs: NEVER_MS, wallMs: NEVER_MS };

/** The limit that work reaches which looks like this, look by look. */
async function overrunOf(limits: Partial<WorkLimits>, look: () => Work): Promise<Overrun> {
  const over = Promise.withResolvers<Overrun>();
  new WorkWatch({ ...LIMITS, ...limits }, look, over.resolve);
  return over.promise;
}

describe("work that is watched", () => {
  it("reaches the limit of processor time by what it used since the first look", async () => {
    let cpuMs = 5_000;
    const look = () => {
      cpuMs += 10;
      return { cpuMs, isAtWork: true };
    };
    assert.deepEqual(await overrunOf({ cpuMs: 100 }, look), { limit: "cpu", limitMs: 100 });
    assert.equal(cpuMs, 5_110);
  });

  it("reaches the limit of waiting when it does nothing", async () => {
    const overrun = await overrunOf({ waitMs: 40 }, () => ({ cpuMs: 7, isAtWork: false }));
    assert.deepEqual(overrun, { limit: "wait", limitMs: 40 });
  });

  it("waits in no look that it spent on a processor", async () => {
    let cpuMs = 0;
    // There is a look each two milliseconds.
    const look = () => {
      cpuMs += 2;
      return { cpuMs, isAtWork: false };
    };
    assert.equal((await overrunOf({ waitMs: 40, cpuMs: 200 }, look)).limit, "cpu");
  });

  it("is not blamed when the machine does not run it", async () => {
    const overrun = await overrunOf({ waitMs: 40, wallMs: 200 }, () => ({ cpuMs: 3, isAtWork: true }));
    assert.deepEqual(overrun, { limit: "wall", limitMs: 200 });
  });

  it("is told of as what it was", () => {
    const limits = ["cpu", "wait", "wall"] as const;
    const texts = limits.map((limit) => describeOverrun({ limit, limitMs: 9 }));
    assert.deepEqual(texts, [
      "after 9 ms of processor time",
      "after 9 ms in which it waited and did nothing",
      "within 9 ms, as this machine is too busy to run it",
    ]);
  });
});

describe("what processes do", () => {
  let child: ChildProcess & { pid: number };
  afterEach(() => child.kill("SIGKILL"));

  async function start(code: string): Promise<void> {
    child = spawn(process.execPath, ["-e", `console.log("x"); ${code}`], {
      stdio: ["ignore", "pipe", "inherit"],
    }) as typeof child;
    await once(child.stdout as NodeJS.ReadableStream, "data");
  }

  it("shows one that runs, however little the machine gives it", async () => {
    await start("for (;;);");
    while (cpuMsOf(child.pid) < 100) assert.ok(isAnyAtWork([process.pid, child.pid]));
  });

  it("shows one that waits", async () => {
    await start("Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);");
    while (isAnyAtWork([child.pid]));
    assert.ok(cpuMsOf(child.pid) > 0);
  });

  it("shows a thread that runs among many that wait, of which a look reads some", async (t) => {
    const idle = spawn("sleep", ["1000"]);
    t.after(() => idle.kill("SIGKILL"));
    while (isAnyAtWork([idle.pid as number]));
    await start("for (;;);");
    // Before its loop it may wait: for its threads, or for a pipe.
    const sofarMs = cpuMsOf(child.pid);
    while (cpuMsOf(child.pid) < sofarMs + 100);
    // One of 40 runs, the last.
    const threads = [...Array.from({ length: 39 }, () => idle.pid as number), child.pid];
    const looks = new ThreadLooks();
    const seen = Array.from({ length: 20 }, () => looks.isAnyAtWork(threads));
    assert.deepEqual(seen, [...Array(4).fill(false), ...Array(16).fill(true)]);
    assert.equal(looks.isAnyAtWork([]), false);
  });

  it("shows nothing of one that is gone", async () => {
    await start("");
    await once(child, "exit");
    assert.deepEqual([isAnyAtWork([child.pid]), cpuMsOf(child.pid)], [false, 0]);
  });
});
