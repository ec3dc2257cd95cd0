/**
 * How calls end whose functions do too much: requirements 3, 6, 7, 8 and 15. Nobody else notices.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { stretched } from "../helpers/slowness.ts";
import { type Answered, TestWorker } from "../helpers/worker.ts";

let test: TestWorker;

before(async () => {
  test = await TestWorker.start();
  await test.deploy("neighbour", `export default () => new Response("here");`);
});
after(() => test.stop());

/** Time limit of what has to meet it. */
const LIMIT_MS = stretched(300);

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
    name: "(6) a memory bomb of buffers, outside the JavaScript heap,",
    bad: `const kept = []; for (;;) kept.push(Buffer.alloc(4 * 1024 * 1024, 1));`,
    outcome: "out_of_memory",
    code: "OUT_OF_MEMORY",
    message: /128 MiB.*memoryMiB in sandpiper.jsonc/,
  },
  {
    name: "(6) a memory bomb of WebAssembly",
    bad: `const kept = []; for (;;) { const memory = new WebAssembly.Memory({ initial: 256 }); new Uint8Array(memory.buffer).fill(1); kept.push(memory); }`,
    outcome: "out_of_memory",
    code: "OUT_OF_MEMORY",
  },
  {
    name: "(7) a memory bomb of text",
    bad: `let text = "x"; const kept = []; for (;;) { text += text.slice(0, 1 << 20) + kept.length; kept.push(JSON.parse(JSON.stringify(text))); }`,
    outcome: "out_of_memory",
    code: "OUT_OF_MEMORY",
  },
  {
    name: "(7) a memory bomb of JavaScript objects",
    bad: `const kept = []; for (;;) kept.push({ a: [kept.length, "x" + kept.length] });`,
    outcome: "out_of_memory",
    code: "OUT_OF_MEMORY",
  },
  {
    name: "(3) a busy loop",
    bad: `for (;;);`,
    outcome: "timeout",
    code: "TIMEOUT",
    message: new RegExp(`${LIMIT_MS} ms.*timeoutMs`),
  },
  {
    name: "(3) a promise that never settles",
    bad: `await new Promise(() => {});`,
    outcome: "timeout",
    code: "TIMEOUT",
  },
  {
    name: "(3) a regular expression that backtracks for ever",
    bad: `/^(a+)+$/.test("a".repeat(50) + "b");`,
    outcome: "timeout",
    code: "TIMEOUT",
  },
  {
    name: "(8) a full /tmp",
    bad: `const { appendFileSync } = await import("node:fs");
          for (;;) appendFileSync("/tmp/big", Buffer.alloc(1024 * 1024));`,
    outcome: "function_error",
    code: "FUNCTION_ERROR",
  },
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
    name: "(15) something that is no response",
    bad: `return () => 42;`,
    outcome: "function_error",
    code: "FUNCTION_ERROR",
  },
  {
    name: "(15) a cyclic result",
    bad: `const result: Record<string, unknown> = {}; result.self = result; return Response.json(result);`,
    outcome: "function_error",
    code: "FUNCTION_ERROR",
  },
  {
    name: "(15) a BigInt as a result",
    bad: `return Response.json({ n: 10n ** 30n });`,
    outcome: "function_error",
    code: "FUNCTION_ERROR",
  },
  {
    name: "(15) a result that never ends to be written",
    bad: `const endless = { toJSON: () => { for (;;); } }; return Response.json(endless);`,
    outcome: "timeout",
    code: "TIMEOUT",
  },
  {
    name: "(15) a result that is deeper than the stack",
    bad: `let deep: unknown = 1; for (let i = 0; i < 1_000_000; i++) deep = [deep]; return Response.json(deep);`,
    outcome: "function_error",
    code: "FUNCTION_ERROR",
  },
  {
    name: "(15) an error of 8 MB",
    bad: `const error = new Error("x".repeat(8_000_000)); error.name = error.message; throw error;`,
    outcome: "function_error",
    code: "FUNCTION_ERROR",
    config: { memoryMiB: 512 },
  },
  {
    name: "(15) an error that cannot be looked at",
    bad: `throw new Proxy(new Error(), { get() { throw new Error("no"); }, getPrototypeOf() { throw new Error("no"); } });`,
    outcome: "function_error",
    code: "FUNCTION_ERROR",
  },
  {
    name: "(15) headers of 10 MB",
    bad: `return new Response("", { headers: { "x-large": "x".repeat(10_000_000) } });`,
    outcome: "function_error",
    code: "FUNCTION_ERROR",
  },
  {
    name: "(15) a reply of 100 MB",
    bad: `return new Response(new Uint8Array(100_000_000));`,
    outcome: "function_error",
    code: "REPLY_TOO_LARGE",
    message: /20971520 bytes/,
    config: { memoryMiB: 512 },
  },
  {
    name: "(15) a streamed reply without end",
    bad: `return new Response(new ReadableStream({ async pull(c) {
            await new Promise((r) => setImmediate(r)); c.enqueue(new Uint8Array(256 * 1024)); } }));`,
    outcome: "function_error",
    code: "REPLY_TOO_LARGE",
    message: /20971520 bytes/,
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
      await test.deploy(name, module(wanted), {
        timeoutMs: wanted.outcome === "timeout" ? LIMIT_MS : stretched(30_000),
        ...wanted.config,
      });
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
