/**
 * Versions that are slow to load, through a whole worker: what callers, logs, records and whoever
 * asks about a function see.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Registry } from "../../functions/store/registry.ts";
import { stretched } from "../helpers/slowness.ts";
import { TestWorker } from "../helpers/worker.ts";

const SLOW = `
  for (const end = process.cpuUsage().user + 300_000; process.cpuUsage().user < end; );
  const id = crypto.randomUUID();
  export default async (request: Request) => {
    console.log("call", new URL(request.url).search);
    await new Promise((done) => setTimeout(done, Number(new URL(request.url).search.slice(1))));
    return new Response(id);
  };`;

describe("a version that is slow to load", () => {
  let test: TestWorker;
  before(async () => {
    test = await TestWorker.start();
  });
  after(() => test.stop());

  it("has further instances as forks, whose calls have logs, figures and a start of their own", async () => {
    await test.deploy("slow", SLOW);
    const first = await test.call("slow", { path: "/?0" });
    // Each still runs when the others come.
    const long = stretched(500);
    const calls = await Promise.all([0, 1, 2].map((more) => test.call("slow", { path: `/?${long + more}` })));
    assert.ok(["cold", "prewarmed"].includes(first.start));
    assert.deepEqual(calls.map(({ start }) => start).sort(), ["forked", "forked", "warm"]);
    for (const { id, text } of calls) {
      assert.equal(text, first.text);
      assert.equal((await test.logs("slow", id)).length, 1);
      const { cpuMs, timing } = await test.record(id);
      assert.ok(cpuMs < 290, `${cpuMs} ms`);
      assert.equal(timing.initMs, 0);
    }
  });

  it("says in its log and to whoever asks why it has none", async () => {
    await test.deploy("open", `setInterval(() => {}, 1_000); ${SLOW}`);
    const { id, outcome } = await test.call("open");
    const [said] = (await test.logs("open", id)).filter(({ source }) => source === "platform").map(({ text }) => text);
    const noTemplateReason = "the module keeps something open: Timeout";
    assert.equal(outcome, "ok");
    assert.equal(
      said,
      `Each instance loads the module anew instead of having a copy of it, because ${noTemplateReason}.`,
    );
    const ref = { tenant: "main", functionName: "open" };
    assert.equal((await new Registry(test.redis.connect()).getFunction(ref))?.noTemplateReason, noTemplateReason);
  });

  it("answers with what its hook fails with", async () => {
    await test.deploy("hook", `${SLOW} export function afterRestore() { throw new Error("no seed"); }`);
    const { id, outcome, error } = await test.call("hook");
    assert.deepEqual([outcome, error?.code], ["function_error", "FUNCTION_RESTORE_FAILED"]);
    assert.match((await test.logs("hook", id)).map(({ text }) => text).join(), /no seed/);
  });
});
