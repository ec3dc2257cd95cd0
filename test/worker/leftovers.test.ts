/** What a call leaves behind in its instance, and what that costs the next caller. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { begin, beginAt, callText, poolOpener } from "../helpers/pool.ts";
import { TestWorker } from "../helpers/worker.ts";

const PAIRS = 10;

describe("a call that left something behind", () => {
  let test: TestWorker;
  before(async () => {
    test = await TestWorker.start();
    await test.deploy(
      "leaves",
      `export default async ({ url }: Request) => {
        const { searchParams } = new URL(url);
        const throwIt = () => { throw new Error("left behind"); };
        if (searchParams.has("reject")) void Promise.reject(new Error("left behind"));
        if (searchParams.has("timer")) setTimeout(throwIt, Number(searchParams.get("timer")));
        if (searchParams.has("long")) await new Promise((resolve) => setTimeout(resolve, 20));
        return new Response("ok");
      };`,
    );
  });
  after(() => test.stop());

  for (const what of ["reject", "timer=0", "timer=2", "timer=10"]) {
    it(`does not fail the next one, and has it in its log: ${what}`, async () => {
      for (let pair = 0; pair < PAIRS; pair++) {
        const first = await test.call("leaves", { path: `/?${what}` });
        const second = await test.call("leaves", { path: "/?long" });
        assert.deepEqual([first.outcome, second.outcome, second.text], ["ok", "ok", "ok"]);
        const texts = (await test.logs("leaves", second.id)).map(({ text }) => text);
        assert.deepEqual(texts, []);
      }
    });
  }

  it("has what it left in its own log", async () => {
    const { id } = await test.call("leaves", { path: "/?reject" });
    let texts: string[] = [];
    while (texts.length === 0) texts = (await test.logs("leaves", id)).map(({ text }) => text);
    assert.match(texts[0] ?? "", /^Uncaught Error: left behind/);
  });
});

describe("an instance that dies without a word", () => {
  const open = poolOpener();
  const CODE = `
    export default async ({ url }) => {
      if (!url.endsWith("/hang")) return new Response("ok");
      console.log("began");
      await new Promise(() => {});
    };`;

  it("gives a call back that it did not read", async () => {
    const pool = open();
    const lease = await pool.acquire({ code: CODE });
    await callText(lease);
    lease.release();
    const next = await pool.acquire({ code: CODE });
    assert.equal(next.instance, lease.instance);
    const { pid } = next.instance.sandbox;
    process.kill(pid, "SIGSTOP");
    const call = beginAt(next);
    await written(next.instance.sandbox.wire);
    process.kill(pid, "SIGKILL");
    const end = await call?.replied;
    assert.ok(end?.begun === false && end.death?.code === "KILLED");
  });

  it("does not give a call back that it may have begun", async () => {
    const pool = open();
    const lease = await pool.acquire({ code: CODE });
    const { pid, wire } = lease.instance.sandbox;
    const call = begin(lease, "/hang");
    // What it logs says that it has begun.
    await once(wire, "data");
    process.kill(pid, "SIGKILL");
    await assert.rejects(call, { code: "KILLED" });
  });
});

/** Resolves when the kernel has all that was written. */
async function written(wire: { writableLength: number }): Promise<void> {
  do await new Promise((resolve) => setImmediate(resolve));
  while (wire.writableLength > 0);
}
