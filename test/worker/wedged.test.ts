/**
 * Whatever a tenant with native code does to its own sandbox: the call ends with a typed outcome,
 * the sandbox is gone or serves on, its place comes back, and the neighbour notices nothing.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { NATIVE_FLAGS } from "../helpers/native-module.ts";
import { callText, TestPool } from "../helpers/pool.ts";
import { LONGEST_CALL_MS, stretched } from "../helpers/slowness.ts";

interface Case {
  name: string;
  /** The body of the handler; `native` has the system calls. */
  does: string;
  /** The error's code, or what the function answers. */
  ends: { code: string } | { answer: string };
  /** Bytes of the request's body. */
  bodyBytes?: number;
  timeoutMs?: number;
}

const FOREVER = "native.poll(Buffer.alloc(0), 0, -1);";
const NUMBERS = process.arch === "x64" ? { vfork: 58, shutdown: 48, ptrace: 101 } : { shutdown: 210, ptrace: 117 };
const shutdown = (how: number) => `native.syscall("shutdown", ${NUMBERS.shutdown}, 3, ${how}, 0);`;

/** The runtime sees that its wire ended, and leaves. */
const GONE = { code: "FUNCTION_EXITED" };

const CASES: Case[] = [
  { name: "stops itself", does: `process.kill(process.pid, "SIGSTOP"); return "on";`, ends: { answer: "on" } },
  { name: "kills itself", does: `process.kill(process.pid, "SIGKILL"); return "on";`, ends: { answer: "on" } },
  {
    name: "has a child stop and kill it",
    does: `if (native.fork() === 0) { native.kill(1, 19); native.kill(1, 9); ${FOREVER} } return "on";`,
    ends: { answer: "on" },
  },
  { name: "sleeps in the kernel for ever", does: FOREVER, ends: { code: "TIMEOUT" } },
  {
    name: "reads from a pipe that nobody writes to",
    does: `const ends = Buffer.alloc(8); native.pipe2(ends, 0); native.read(ends.readInt32LE(0), Buffer.alloc(1), 1);`,
    ends: { code: "TIMEOUT" },
  },
  {
    name: "waits for a child that never ends",
    does: `const pid = native.fork(); if (pid === 0) ${FOREVER} native.waitpid(pid, Buffer.alloc(4), 0);`,
    ends: { code: "TIMEOUT" },
  },
  { name: "closes its wire", does: `native.close(3); await new Promise(() => {});`, ends: { code: "KILLED" } },
  {
    name: "closes its wire and sleeps in the kernel",
    does: `native.close(3); ${FOREVER}`,
    ends: { code: "KILLED" },
  },
  {
    name: "closes its wire while a child keeps it open",
    does: `if (native.fork() === 0) { ${FOREVER} } native.close(3); ${FOREVER}`,
    ends: { code: "TIMEOUT" },
  },
  { name: "says that it sends no more", does: `${shutdown(1)} await new Promise(() => {});`, ends: GONE },
  {
    name: "says that it reads no more, while much is sent",
    does: `${shutdown(0)} await new Promise(() => {});`,
    bodyBytes: 8 << 20,
    ends: GONE,
  },
  { name: "never reads what is sent", does: FOREVER, bodyBytes: 8 << 20, ends: { code: "TIMEOUT" } },
  {
    name: "says that it sends no more, and does not read either",
    does: `${shutdown(1)} ${FOREVER}`,
    bodyBytes: 8 << 20,
    ends: { code: "TIMEOUT" },
  },
  { name: "closes its output", does: `native.close(1); native.close(2); return "on";`, ends: { answer: "on" } },
  {
    name: "uses up its descriptors",
    does: `let made = 0; try { for (;;) { native.socketpair(); made += 2; } } catch (e) { return e.code; }`,
    ends: { answer: "EMFILE" },
  },
  {
    name: "traces itself",
    does: `try { native.syscall("ptrace", ${NUMBERS.ptrace}, 0, 0, 0, 0); } catch (e) { return e.code; }`,
    ends: { answer: "EPERM" },
  },
  {
    name: "ends with children that live on",
    does: `for (let n = 0; n < 8; n++) if (native.fork() === 0) { ${FOREVER} } process.exit(0);`,
    ends: { code: "FUNCTION_EXITED" },
  },
  {
    name: "leaves behind more dead orphans than it may have processes",
    does: `for (let made = 0; made < 100; ) try {
        if (native.fork() === 0) { native.fork(); process.reallyExit(0); }
        made += 1;
      } catch (e) { if (e.code !== "EAGAIN") throw e; await new Promise((r) => setTimeout(r, 1)); }
      return "on";`,
    ends: { answer: "on" },
    timeoutMs: stretched(20_000),
  },
];
if (NUMBERS.vfork !== undefined)
  CASES.push({
    name: "hangs in vfork, its child asleep",
    does: `if (native.syscall("vfork", ${NUMBERS.vfork}, 0, 0, 0, 0, 0) === 0) ${FOREVER}`,
    ends: { code: "TIMEOUT" },
  });

describe("a sandbox that wedges itself", () => {
  let test: TestPool;
  before(() => {
    test = new TestPool({ zygoteFlags: NATIVE_FLAGS });
  });
  after(() => test.close());

  for (const [index, { name, does, ends, bodyBytes = 0, timeoutMs = stretched(700) }] of CASES.entries())
    it(`${name}: ${"code" in ends ? ends.code : `answers ${ends.answer}`}`, async () => {
      const neighbour = await test.use({ name: "neighbour" });
      const code = `export default async () => new Response(await (async () => { ${does} })());`;
      const lease = await test.acquire({ name: `wedged-${index}`, code, timeoutMs });
      const call = callText(lease, "/", new Uint8Array(bodyBytes));
      if ("code" in ends) await assert.rejects(call, (error: { code?: string }) => error.code === ends.code);
      else assert.equal(await call, ends.answer);
      lease.discard("the test is over");
      await lease.instance.sandbox.exited;
      await eventually(() => test.pool.snapshot().sandboxes === 1);
      assert.equal((await test.use({ name: "neighbour" })).id, neighbour.id);
      assert.deepEqual(test.troubles, []);
    });

  it("a zygote that somebody stopped fails the calls of its sandboxes, and another serves", async () => {
    const lease = await test.acquire({
      name: "hang",
      code: `export default () => new Promise(() => {});`,
      timeoutMs: LONGEST_CALL_MS,
    });
    const zygote = await test.zygotePid();
    const lost = assert.rejects(callText(lease), (error: { code?: string }) => error.code === "SANDBOX_LOST");
    process.kill(zygote, "SIGSTOP");
    const waiting = test.use({ name: "waiting" });
    await lost;
    lease.release();
    assert.equal((await waiting).calls, 1);
    assert.notEqual(await test.zygotePid(), zygote);
  });
});
