import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Answered, TestWorker } from "../helpers/worker.ts";

let test: TestWorker;
before(async () => {
  test = await TestWorker.start();
  await test.deploy("neighbour", `export default () => new Response("here");`);
});
after(() => test.stop());

const PRELUDE = `
  import * as fs from "node:fs";
  import * as net from "node:net";
  import { spawn } from "node:child_process";
  import { Worker } from "node:worker_threads";
  const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  /** Descriptors that are open, the standard ones left out. */
  const open = () => Array.from({ length: 64 }, (_, i) => i + 3).filter((fd) => { try { fs.fstatSync(fd); return true; } catch { return false; } });
  const sockets = () => open().filter((fd) => fs.fstatSync(fd).isSocket());`;

/** Deploys a function that does this when it is asked for /bad, calls it so, and sees that the next calls answer. */
async function attack(name: string, bad: string, config: object = {}): Promise<Answered> {
  await test.deploy(
    name,
    `${PRELUDE}
    export default { async fetch(request: Request, env: unknown, ctx: { waitUntil(p: Promise<unknown>): void }) {
      if (request.url.endsWith("/bad")) { ${bad} }
      return new Response("fine");
    } };`,
    { timeoutMs: 500, ...config },
  );
  const answered = await test.call(name, { path: "/bad" });
  assert.equal((await test.call(name)).text, "fine");
  assert.equal((await test.call("neighbour")).text, "here");
  return answered;
}

describe("what a sandbox does to its own process", () => {
  it("is stopped by itself: a timeout", async () => {
    const { outcome } = await attack("sigstop", `process.kill(process.pid, "SIGSTOP"); for (;;);`);
    assert.equal(outcome, "timeout");
  });

  it("kills itself: an end or nothing, and never a hang", async () => {
    const { outcome } = await attack("sigkill", `process.kill(process.pid, "SIGKILL"); await sleep(60_000);`);
    assert.ok(["killed", "timeout"].includes(outcome), outcome);
  });

  it("starts programs, threads or itself: nothing comes of it", async () => {
    const { outcome } = await attack(
      "forks",
      `for (let i = 0; i < 200; i++) {
         try { spawn(process.execPath, ["-e", "for(;;);"]).on("error", () => {}); } catch {}
         try { new Worker("for(;;);", { eval: true }).on("error", () => {}); } catch {}
       }`,
    );
    assert.ok(["ok", "function_error", "killed", "timeout"].includes(outcome), outcome);
  });
});

describe("what a sandbox does to its connection", () => {
  it("closes every descriptor that it has", async () => {
    const { outcome } = await attack("closes", `for (const fd of open()) fs.closeSync(fd); await sleep(60_000);`);
    assert.ok(["killed", "timeout", "function_error"].includes(outcome), outcome);
  });

  it("closes its socket and goes on living", async () => {
    const { outcome, error } = await attack("hangs-up", `for (const fd of sockets()) fs.closeSync(fd); for (;;);`, {
      timeoutMs: 20_000,
    });
    assert.deepEqual([outcome, error?.code], ["killed", "KILLED"]);
  });

  const forged: [name: string, bytes: string][] = [
    ["noise", `Buffer.alloc(4096, 0xff)`],
    ["a frame that reflects a request", `Buffer.from([1, 0, 0, 0, 0x04])`],
    ["a second ready", `Buffer.from([1, 0, 0, 0, 0x81])`],
    ["an answer to a call that is not its own", `Buffer.from([5, 0, 0, 0, 0x89, 77, 0, 0, 0])`],
    ["idle before an answer", `Buffer.from([5, 0, 0, 0, 0x89, 1, 0, 0, 0])`],
    [
      "a head with a deep bomb",
      `(() => { const json = Buffer.from("[".repeat(200_000));
       const b = Buffer.alloc(13); b.writeUInt32LE(9 + json.length, 0); b[4] = 0x84; b.writeUInt32LE(1, 5);
       b.writeUInt32LE(json.length, 9); return Buffer.concat([b, json]); })()`,
    ],
  ];
  for (const [index, [name, bytes]] of forged.entries()) {
    it(`sends ${name}: it is ended, and nobody else notices`, async () => {
      const bad = `for (const fd of sockets()) try { fs.writeSync(fd, ${bytes}); } catch {} await sleep(60_000);`;
      const { outcome, error } = await attack(`forged-${index}`, bad, { timeoutMs: 5_000 });
      assert.deepEqual([outcome, error?.code], ["killed", "KILLED"]);
    });
  }

  it("sends log records without end: it is ended", async () => {
    const frame = `(() => { const b = Buffer.alloc(20); b.writeUInt32LE(16, 0); b[4] = 0x88; b.write("x", 19); return b; })()`;
    const bad = `const many = Buffer.concat(Array(1000).fill(${frame}));
      for (;;) for (const fd of sockets()) try { fs.writeSync(fd, many); } catch {}`;
    const { outcome } = await attack("log-frames", bad, { timeoutMs: 5_000 });
    assert.equal(outcome, "killed");
  });
});

describe("floods of output", () => {
  it("of the console are cut, and say so", async () => {
    const { outcome, id } = await attack("console", `for (let i = 0; i < 100_000; i++) console.log("line", i);`, {
      timeoutMs: 10_000,
    });
    assert.equal(outcome, "ok");
    const records = await test.logs("console", id);
    assert.ok(records.length <= 1_002, `${records.length} records`);
    assert.match(records.at(-1)?.text ?? "", /truncated/);
  });

  it("straight to the descriptors are cut, and cost the worker no memory", async () => {
    const before = process.memoryUsage().rss;
    const bad = `const line = Buffer.alloc(64 * 1024, "x".repeat(1023) + "\\n");
      for (let i = 0; i < 800; i++) for (let at = 0; at < line.length;) {
        try { at += fs.writeSync(1, line, at); } catch (error) { if (error.code !== "EAGAIN") throw error; await sleep(1); }
      }`;
    const { outcome, id } = await attack("stdout", bad, { timeoutMs: 30_000 });
    assert.equal(outcome, "ok");
    const records = await test.logs("stdout", id);
    const bytes = records.reduce((sum, { text }) => sum + text.length, 0);
    assert.ok(bytes < 1024 * 1024, `${bytes} bytes were kept`);
    assert.ok(records.some(({ source, text }) => source === "platform" && /truncated/.test(text)));
    assert.ok(process.memoryUsage().rss - before < 150 * 1024 * 1024);
  });
});
