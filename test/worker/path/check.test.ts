/**
 * Versions that are loaded before they go live, by a whole worker: what it finds, and what it
 * tells.
 */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { CheckResult } from "../../../functions/model/check.ts";
import type { FunctionConfig } from "../../../functions/model/manifest.ts";
import { readLogs } from "../../../functions/store/logs.ts";
import { eventually } from "../../helpers/eventually.ts";
import { stretched } from "../../helpers/slowness.ts";
import { TestWorker } from "../../helpers/worker.ts";

let test: TestWorker;
before(async () => {
  test = await TestWorker.start();
});
after(() => test.stop());

type Files = string | Record<string, string>;

async function check(files: Files, config: Partial<FunctionConfig> = {}, name = "checked"): Promise<CheckResult> {
  return test.check(await test.deploy(name, files, config));
}

/** The message of a check that the function is to blame for. */
async function blamed(files: Files, config: Partial<FunctionConfig> = {}): Promise<string> {
  const result = await check(files, config);
  assert.equal(result.ok, false);
  assert.equal(result.cause, "function", result.message);
  return result.message;
}

it("says what the handler is, and what is not wired", async () => {
  const result = await check("export default { fetch() {}, scheduled() {} }");
  assert.deepEqual(result, {
    ok: true,
    found: {
      handler: "fetch",
      warnings: ["The export scheduled is not wired yet: nothing here calls it at times that are set."],
    },
  });
});

it("loads with the environment of a call, and leaves the instance for the first one", async () => {
  const source = `console.log("loaded with", process.env.SECRET);
    if (process.env.SECRET !== "hunter2") throw new Error("no secret");
    export default () => new Response("ok")`;
  assert.equal((await check(source, { env: { SECRET: "hunter2" } }, "warm")).ok, true);
  assert.equal((await test.call("warm")).start, "warm");
  // What it wrote meanwhile is in the function's log, and was written once.
  const ref = { tenant: "main", functionName: "warm" };
  await eventually(async () => {
    const texts = (await readLogs(test.connection, ref, { limit: 100 })).map(
      ({ entry }) => "text" in entry && entry.text,
    );
    return texts.filter((text) => text === "loaded with hunter2").length === 1;
  });
});

it("finds it in a fork where each call has one", async () => {
  const result = await check("export const hello = async () => 'hi'", { isolation: "invocation" }, "forked");
  assert.deepEqual(result.ok && result.found.handler, "lambda (hello)");
  assert.equal((await test.call("forked")).text, "hi");
});

it("tells what the module threw, by the tenant's own file and line, and what it had logged", async () => {
  const message = await blamed({
    "index.ts": "import './deep/thrower.ts';\nexport default () => new Response()",
    "deep/thrower.ts": `console.log("one\\ntwo");\nconsole.error("three");\n\nthrow new RangeError("boom");`,
  });
  assert.match(message, /^index\.ts failed while it was loaded:\n {2}RangeError: boom\n/);
  assert.match(message, / at deep\/thrower\.ts:4:7/);
  assert.match(message, /\nIt had logged:\n {2}one\n {2}two\n {2}three\nThe version was not deployed\.$/);
  assert.doesNotMatch(message, /sandbox-core|file:\/\/|node:internal/);
});

it("tells the first lines of a log that is long", async () => {
  const message = await blamed(
    `for (let i = 0; i < 50; i++) console.log("line", i, "x".repeat(1000)); throw new Error("end")`,
  );
  const lines = message.split("\n").filter((line) => line.startsWith("  line"));
  assert.equal(lines.length, 20);
  assert.ok(lines.every((line) => line.length <= 502));
  assert.match(message, /\n {2}\.\.\. and 30 more\n/);
});

for (const [what, source, pattern] of [
  [
    "there is no handler",
    "exports.one = 1; exports.two = 'x'",
    /exports no handler\. It exports default .*one \(number\), two \(string\)/,
  ],
  ["the process ends", "process.exit(7)", /ended its own process with exit code 7 while it was loaded/],
  [
    "a module is not found",
    `const name = "not-" + "installed"; await import(name);`,
    /Cannot load the module "not-installed"/,
  ],
  [
    "a promise is rejected",
    "Promise.reject(new Error('later')); await new Promise((r) => setTimeout(r, 5_000))",
    /Error: later/,
  ],
] as const) {
  it(`fails when ${what}`, async () => {
    assert.match(await blamed({ "index.js": source }, { entry: "index.js" }), pattern);
  });
}

it("fails when the module needs more memory than it has", async () => {
  const source = "const all = []; for (;;) all.push(Buffer.alloc(1024 * 1024, 1))";
  assert.match(await blamed(source, { memoryMiB: 64 }), /needed more than its 64 MiB of memory.*raise memoryMiB/);
});

it("is the machine's trouble when no sandbox can be had, or the code is lost", async () => {
  const large = await check("export default () => 1", { memoryMiB: 2048 }, "large");
  assert.equal(large.ok, true);
  const small = await TestWorker.start({ SANDPIPER_UID_BASE: "2100000", SANDPIPER_MEMORY_BUDGET_BYTES: "268435456" });
  try {
    const version = await small.deploy("large", "export default () => 1", { memoryMiB: 1024 });
    const result = await small.check(version);
    assert.deepEqual([result.ok, !result.ok && result.cause], [false, "machine"]);
    assert.match(result.ok ? "" : result.message, /^The version could not be checked, which says nothing about it\. /);
    const lost = await small.deploy("lost", "export default () => 2");
    await small.forget(lost.bundle);
    const without = await small.check(lost);
    assert.deepEqual([without.ok, !without.ok && without.cause], [false, "machine"]);
  } finally {
    await small.stop();
  }
});

it("of a module that only waits keeps no other from being checked", async () => {
  const source = `await new Promise((done) => setTimeout(done, ${stretched(5_000)})); export default () => 1`;
  const tenants = ["one", "two", "three"];
  const waiting = await Promise.all(tenants.map((tenant) => test.deploy("waits", source, { tenant })));
  const good = await test.deploy("good", "export default () => 1");
  const over: string[] = [];
  const checks = waiting.map((version) => test.check(version).finally(() => over.push(version.tenant)));
  await eventually(async () => test.worker.facts().pool.starting >= 2);
  assert.equal((await test.check(good)).ok, true);
  assert.deepEqual(over, [], "it waited for the end of others");
  await Promise.all(checks);
});

it("says in each call once what a function that reaches nothing has not declared", async () => {
  const source = `const said = []; export default async (request) => {
    for (const n of [1, 2]) await fetch("http://example.com").catch((error) => console.error(error));
    await fetch("http://192.0.2.1/").then(() => {}, (error) => { throw error; });
  }`;
  await test.deploy("outside", source);
  const texts = async () =>
    (await test.logs("outside", (await test.call("outside")).id)).filter(({ source }) => source === "platform");
  const [first, second] = [await texts(), await texts()];
  for (const said of [first, second]) {
    assert.deepEqual(
      said.map(({ level, text }) => [level, /add "(.*)" to "egress"/.exec(text)?.[1]]),
      [
        ["warn", "example.com"],
        ["warn", "192.0.2.1:80"],
      ],
    );
  }
  const thrown = await blamed(`await fetch("http://example.com")`);
  assert.match(thrown, /It had logged:\n {2}.* is not declared, and a function reaches nothing else/);
});
