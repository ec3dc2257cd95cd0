/** Threads of a function, which see of their process what the function does, and no more. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { test } from "node:test";
import { RuntimeClient } from "../../helpers/runtime-client.ts";

/** Has a thread tell what it sees of the program that runs. */
const TELL = `process.getBuiltinModule("node:worker_threads").parentPort.postMessage({
  argv: process.argv, execArgv: process.execArgv, execPath: process.execPath, ...program(),
  paths: process.getBuiltinModule("node:module").globalPaths, isStrict: (function () { return this === undefined; })(),
});
function program() {
  const { header, sharedObjects } = process.report.getReport();
  return { commandLine: header.commandLine, sharedObjects };
}`;
const STRICT = `"use strict"; ${TELL}`;
const MODULE = `new URL("data:text/javascript," + encodeURIComponent(${JSON.stringify(TELL)}))`;
const text = (code: string, options = "") => `Worker(${JSON.stringify(code)}, { eval: true, ${options} })`;
/** The text of a thread that starts a thread, and passes on what that tells. */
const starting = (start: string) => `const { Worker, parentPort } = process.getBuiltinModule("node:worker_threads");
  new ${start}.on("message", (told) => parentPort.postMessage(told));`;

for (const [what, start, isStrict, execArgv] of [
  ["a text", text(TELL), false, []],
  ["a strict text", text(STRICT), true, []],
  ["a module", `Worker(${MODULE})`, true, []],
  ["one with flags of its own", text(TELL, "execArgv: ['--no-warnings']"), false, ["--no-warnings"]],
  ["one of a class that extends Worker", `(class extends Worker {})(${MODULE})`, true, []],
  ["one by the constructor of its prototype", `Worker.prototype.constructor(${MODULE})`, true, []],
  ["one in a thread", text(starting(`Worker(${MODULE}, { execArgv: [] })`), "execArgv: []"), true, []],
] as const) {
  test(`a thread sees the program that its function sees: ${what}`, async () => {
    await using runtime = await RuntimeClient.with(`
      import { Worker } from "node:worker_threads";
      export default async () => {
        const worker = new ${start};
        const told = await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
        return Response.json([worker instanceof Worker, told]);
      };`);
    const [isWorker, told] = JSON.parse(await runtime.text());
    assert.equal(isWorker, true);
    assert.deepEqual([told.execPath, told.argv[0], told.execArgv], ["/usr/local/bin/node", "node", execArgv]);
    assert.deepEqual([told.commandLine, told.sharedObjects], [["/usr/local/bin/node"], []]);
    assert.equal(told.isStrict, isStrict);
    assert.ok(!JSON.stringify(told).includes(dirname(process.execPath)));
  });
}

test("the text of a thread keeps its lines, and may import", async () => {
  await using runtime = await RuntimeClient.with(`
    import { Worker } from "node:worker_threads";
    export default async () => {
      const worker = new Worker("import os from 'node:os';\\n\\nthrow new Error(typeof os.cpus)", { eval: true });
      return (await new Promise((resolve) => worker.once("error", resolve))).stack;
    };`);
  assert.match(await runtime.text(), /^Error: function\n +at \S+:3:7/);
});
