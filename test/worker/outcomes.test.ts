import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Answered, TestWorker } from "../helpers/worker.ts";

let test: TestWorker;

before(async () => {
  test = await TestWorker.start();
  await test.deploy("neighbour", `export default () => new Response("here");`);
});
after(() => test.stop());

interface Case {
  name: string;
  /** Body of the handler for the path /bad; any other path answers "fine". */
  bad: string;
  outcome: Answered["outcome"];
  code: string;
  message?: RegExp;
  config?: Parameters<TestWorker["deploy"]>[2];
}

const CASES: Case[] = [
  {
    name: "a memory bomb of buffers",
    bad: `const kept = []; for (;;) kept.push(Buffer.alloc(4 * 1024 * 1024, 1));`,
    outcome: "out_of_memory",
    code: "OUT_OF_MEMORY",
    message: /128 MiB.*memoryMiB in sandpiper.jsonc/,
  },
  {
    name: "a memory bomb of JavaScript objects",
    bad: `const kept = []; for (;;) kept.push({ a: [kept.length, "x" + kept.length] });`,
    outcome: "out_of_memory",
    code: "OUT_OF_MEMORY",
    config: { timeoutMs: 30_000 },
  },
  { name: "a busy loop", bad: `for (;;);`, outcome: "timeout", code: "TIMEOUT", message: /300 ms.*timeoutMs/ },
  {
    name: "a promise that never settles",
    bad: `await new Promise(() => {});`,
    outcome: "timeout",
    code: "TIMEOUT",
  },
  {
    name: "a regular expression that backtracks for ever",
    bad: `/^(a+)+$/.test("a".repeat(50) + "b");`,
    outcome: "timeout",
    code: "TIMEOUT",
  },
  {
    name: "a handler that ignores every signal and cancellation",
    bad: `for (const s of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(s, () => {});
          process.on("uncaughtException", () => {}); for (;;) { try { for (;;); } catch {} }`,
    outcome: "timeout",
    code: "TIMEOUT",
  },
  {
    name: "a full /tmp",
    bad: `const { appendFileSync } = await import("node:fs");
          for (;;) appendFileSync("/tmp/big", Buffer.alloc(1024 * 1024));`,
    outcome: "function_error",
    code: "FUNCTION_ERROR",
    config: { timeoutMs: 10_000 },
  },
  {
    name: "process.exit",
    bad: `process.exit(3);`,
    outcome: "function_error",
    code: "FUNCTION_EXITED",
    message: /exit code 3/,
  },
  { name: "process.abort", bad: `process.abort();`, outcome: "killed", code: "KILLED", message: /SIG[A-Z]+/ },
  {
    name: "a thrown error",
    bad: `throw new RangeError("secret detail");`,
    outcome: "function_error",
    code: "FUNCTION_ERROR",
    message: /^The function threw an error\.$/,
  },
  {
    name: "an error that nobody caught",
    bad: `setTimeout(() => { throw new Error("late"); }); await new Promise(() => {});`,
    outcome: "function_error",
    code: "FUNCTION_ERROR",
  },
  {
    name: "something that is no response",
    bad: `return 42;`,
    outcome: "function_error",
    code: "FUNCTION_ERROR",
  },
  {
    name: "a reply of 100 MB",
    bad: `return new Response(new Uint8Array(100_000_000));`,
    outcome: "function_error",
    code: "REPLY_TOO_LARGE",
    message: /20971520 bytes/,
    config: { memoryMiB: 512, timeoutMs: 10_000 },
  },
  {
    name: "a streamed reply without end",
    bad: `return new Response(new ReadableStream({ async pull(c) {
            await new Promise((r) => setImmediate(r)); c.enqueue(new Uint8Array(256 * 1024)); } }));`,
    outcome: "function_error",
    code: "REPLY_TOO_LARGE",
    message: /20971520 bytes/,
    config: { timeoutMs: 20_000 },
  },
];

/** A function that answers "fine", and does the bad thing when it is asked to. */
function module({ bad }: Pick<Case, "bad">): string {
  return `export default { async fetch(request: Request) {
    if (new URL(request.url).pathname.endsWith("/bad")) { ${bad} }
    return new Response("fine");
  } };`;
}

describe("how calls end", () => {
  for (const [index, wanted] of CASES.entries()) {
    it(`${wanted.name} ends as ${wanted.outcome}, and the next calls answer`, async () => {
      const name = `case-${index}`;
      await test.deploy(name, module(wanted), { timeoutMs: 300, ...wanted.config });
      assert.equal((await test.call(name)).text, "fine");
      const answered = await test.call(name, { path: "/bad" });
      assert.deepEqual([answered.outcome, answered.error?.code], [wanted.outcome, wanted.code]);
      if (wanted.message) assert.match(answered.error?.message ?? "", wanted.message);
      assert.equal((await test.record(answered.id)).outcome, wanted.outcome);
      assert.equal((await test.call(name)).text, "fine");
      assert.equal((await test.call("neighbour")).text, "here");
    });
  }
});
