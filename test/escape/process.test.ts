/**
 * What a sandbox does to its own process, its descriptors and its connection: requirements 4, 10,
 * 13 and 14.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { stretched } from "../helpers/slowness.ts";
import { Arena } from "./arena.ts";

let arena: Arena;
before(async () => {
  arena = await Arena.open();
});
after(() => arena.close());

describe("(14) an end that a function gives itself", () => {
  it("by exit codes is the function's error, whatever the code", async () => {
    for (const code of [0, 1, 3, 255]) {
      const { outcome, error } = await arena.attack(`exits-${code}`, `process.exit(${code});`);
      assert.deepEqual([outcome, error?.code], ["function_error", "FUNCTION_EXITED"]);
      assert.match(error?.message ?? "", new RegExp(`exit code ${code} `));
    }
  });

  it("by abort is a kill, and says by which signal", async () => {
    const { outcome, error } = await arena.attack("aborts", `process.abort();`);
    assert.deepEqual([outcome, error?.code], ["killed", "KILLED"]);
    assert.match(error?.message ?? "", /SIG[A-Z]+/);
  });

  for (const signal of ["SIGKILL", "SIGTERM", "SIGSEGV", "SIGHUP"])
    it(`by ${signal} is none: the kernel does not let the first process of a namespace end itself so`, async () => {
      const { outcome } = await arena.attack(
        `kills-${signal.toLowerCase()}`,
        `process.kill(process.pid, "${signal}"); await sleep(60_000);`,
        { timeoutMs: stretched(300) },
      );
      assert.equal(outcome, "timeout");
    });

  it("by SIGSTOP is a timeout", async () => {
    const { outcome } = await arena.attack("stops", `process.kill(process.pid, "SIGSTOP"); for (;;);`, {
      timeoutMs: stretched(300),
    });
    assert.equal(outcome, "timeout");
  });
});

describe("(4) a function that ignores every signal", () => {
  it("ends with its limit of time", async () => {
    const { outcome } = await arena.attack(
      "ignores",
      `for (const s of ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGALRM"]) process.on(s, () => {});
       process.on("uncaughtException", () => {}); for (;;) { try { for (;;); } catch {} }`,
      { timeoutMs: stretched(300) },
    );
    assert.equal(outcome, "timeout");
  });
});

describe("(10) a function that takes every descriptor it can get", () => {
  it("gets as many as its limit says, and answers without any left", async () => {
    const answered = await arena.attack(
      "descriptors",
      `const held = []; let error;
       try { for (;;) held.push(fs.openSync("/dev/null", "r")); } catch (e) { error = e.code; }
       return Response.json([error, held.length < 1_024 && held.length > 900]);`,
    );
    assert.deepEqual(JSON.parse(answered.text), ["EMFILE", true]);
  });

  it("costs the worker none of its own", async () => {
    const open = () => readdirSync("/proc/self/fd").length;
    const bad = `const pairs = []; try { for (;;) pairs.push(net.connect("/tmp/none").on("error", () => {})); } catch {}
      for (;;) try { fs.openSync("/dev/null"); } catch { break; }
      process.exit(1);`;
    const before = open();
    await arena.attack("descriptors-lost", bad);
    // A few belong to instances that wait for their next call.
    assert.ok(open() < before + 50, `${before} before, ${open()} after`);
  });
});

describe("(13) what outlives its call", () => {
  it("is no program: none can be started", async () => {
    const { text } = await arena.attack(
      "programs",
      `const codes = new Set<string>();
       for (let i = 0; i < 50; i++)
         try { spawn(process.execPath, ["-e", "for(;;);"], { detached: true }); codes.add("started"); } catch (error) { codes.add(error.code); }
       return Response.json([...codes]);`,
    );
    assert.deepEqual(JSON.parse(text), ["EPERM"]);
  });

  it("is no thread: they end with their sandbox, by whichever limit they meet first", async () => {
    const { outcome } = await arena.attack(
      "threads",
      `for (let i = 0; i < 200; i++) try { new Worker("for(;;);", { eval: true }).on("error", () => {}).unref(); } catch {}
       for (;;);`,
      { timeoutMs: stretched(1_000) },
    );
    assert.ok(["out_of_memory", "function_error", "killed", "timeout"].includes(outcome), outcome);
  });

  it("is ended with the limit of time, when it was given to waitUntil", async () => {
    const limitMs = stretched(200);
    const { outcome, id } = await arena.attack("lingers", `ctx.waitUntil(new Promise(() => {}));`, {
      timeoutMs: limitMs,
    });
    assert.equal(outcome, "ok");
    assert.match(
      (await arena.worker.logs("lingers", id))[0]?.text ?? "",
      new RegExp(`After its reply: .*${limitMs} ms`),
    );
  });
});

describe("a connection that a function closes", () => {
  it("with every other descriptor ends its call", async () => {
    const { outcome } = await arena.attack("closes", `for (const fd of open()) fs.closeSync(fd); await sleep(60_000);`);
    assert.ok(["killed", "timeout", "function_error"].includes(outcome), outcome);
  });

  it("and goes on without is a kill", async () => {
    const { outcome, error } = await arena.attack(
      "hangs-up",
      `for (const fd of sockets()) fs.closeSync(fd); for (;;);`,
    );
    assert.deepEqual([outcome, error?.code], ["killed", "KILLED"]);
  });
});
