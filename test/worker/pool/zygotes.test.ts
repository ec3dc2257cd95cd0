/** Which zygotes a worker has: for whom, how many at most, and for how long. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { poolOpener } from "../../helpers/pool.ts";
import { stretched } from "../../helpers/slowness.ts";
import { TestWorker } from "../../helpers/worker.ts";
import { sandboxesOf, zygotesHere } from "../../helpers/zygotes.ts";

// Sandboxes are counted: a whole one that waits looks like any other.
const open = poolOpener({ ownZygotes: true, sandboxesAhead: false });

const failure = (code: string) => (error: unknown) => (error as { code: string }).code === code;
/** How many sandboxes each zygote has. */
const families = () => zygotesHere().map((zygote) => sandboxesOf(zygote).length);

describe("zygotes of a worker", () => {
  it("are one for each memory class, which tenants share", async () => {
    const test = open();
    await Promise.all([{ tenant: "a" }, { tenant: "b" }, { memoryMiB: 256 } as const].map((one) => test.use(one)));
    assert.deepEqual(families().sort(), [1, 2]);
  });

  it("are one for each tenant where that is asked for, blanks included", async () => {
    const test = open({ zygoteSharing: "tenant", prewarmed: 1 });
    await test.pool.prewarm();
    assert.deepEqual(families(), [], "nobody could use a blank of nobody's");
    await Promise.all(["a", "b"].map((tenant) => test.use({ tenant })));
    await eventually(() => test.pool.snapshot().blank === 2);
    assert.deepEqual(families(), [2, 2]);
    const again = await test.use({ tenant: "a", name: "g" });
    assert.equal(again.start, "prewarmed");
  });

  it("make way for another tenant's when there are as many as may be, the least recently used first", async () => {
    const test = open({ zygoteSharing: "tenant", maxZygotes: 2 });
    const [first] = await Promise.all([test.use({ tenant: "a" }), test.use({ tenant: "b" })]);
    await test.use({ tenant: "a", name: "g" });
    await test.use({ tenant: "c" });
    assert.ok(zygotesHere().length <= 2);
    assert.equal((await test.use({ tenant: "a" })).id, first.id, "it was b that made way");
  });

  it("make no sandbox whose egress has no sockets, and no function is blamed", async () => {
    // Two listeners of one port: the kernel refuses the second.
    const test = open({ egressOf: async () => ({ publicRoutes: false, addresses: [], ports: [443, 443] }) });
    await assert.rejects(test.use({ tenant: "a" }), failure("EGRESS_UNAVAILABLE"));
    assert.deepEqual(families(), [0]);
    assert.equal(test.pool.snapshot().sandboxes, 0);
  });

  it("do not make way while they serve calls: whoever wants another is told", async () => {
    const test = open({ zygoteSharing: "tenant", maxZygotes: 2, giveUpMs: stretched(300) });
    const [a, b] = await Promise.all([test.acquire({ tenant: "a" }), test.acquire({ tenant: "b" })]);
    await assert.rejects(test.acquire({ tenant: "c" }), failure("SANDBOX_UNAVAILABLE"));
    assert.ok(a.instance.isIdle && b.instance.isIdle);
    a.release();
    b.release();
    await eventually(() => zygotesHere().length < 2);
    await test.use({ tenant: "c" });
    assert.equal(zygotesHere().length, 2);
  });

  it("leave when nobody needs them, all but the one that most functions use", async () => {
    const test = open({ prewarmed: 1, idleMs: 100 });
    await test.pool.prewarm();
    const kept = await test.zygotePid();
    await test.use({ memoryMiB: 256 });
    assert.equal(zygotesHere().length, 2);
    await eventually(() => zygotesHere().length === 1);
    assert.deepEqual(zygotesHere(), [kept]);
    assert.equal(test.pool.snapshot().blank, 1);
  });

  it("build and serve for every tenant in a whole worker where tenants share none", async () => {
    const test = await TestWorker.start({ SANDPIPER_ZYGOTES: "tenant" });
    try {
      for (const tenant of ["main", "other"])
        await test.deploy("whose", `export default () => new Response("ok")`, { tenant });
      const answers = await Promise.all(["main/whose", "other/whose"].map((name) => test.call(name)));
      assert.deepEqual(
        answers.map(({ text }) => text),
        ["ok", "ok"],
      );
      // That of builds, and one for each tenant.
      assert.equal(zygotesHere().length, 3);
    } finally {
      await test.stop();
    }
  });
});

describe("a worker whose zygote dies", () => {
  it("goes on with the one that stands by, of each class where that is asked for", async () => {
    const test = await TestWorker.start({ SANDPIPER_STANDBY_ZYGOTES: "all", SANDPIPER_PREWARMED: "0" });
    try {
      await test.deploy("large", "export default () => new Response('served');", { memoryMiB: 256 });
      assert.equal((await test.call("large")).text, "served");
      await eventually(() => zygotesHere().length === 4);
      const [serving] = zygotesHere().filter((zygote) => sandboxesOf(zygote).length > 0);
      process.kill(serving as number, "SIGKILL");
      await eventually(async () => (await test.call("large")).text === "served");
      assert.ok(!zygotesHere().includes(serving as number));
    } finally {
      await test.stop();
    }
  });
});
