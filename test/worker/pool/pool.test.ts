import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { MIB } from "../../../infra/std/bytes.ts";
import { eventually } from "../../helpers/eventually.ts";
import { callText, poolOpener } from "../../helpers/pool.ts";
import { LONGEST_CALL_MS } from "../../helpers/slowness.ts";

const open = poolOpener();

const hangAloud = "export default () => { console.log('began'); return new Promise(() => {}); };";
const hang = `export default () => new Promise(() => {});`;
const failure = (code: string) => (error: unknown) => (error as { code: string }).code === code;

describe("the pool: which instance serves which call", () => {
  it("serves a version again with the instance that served it last", async () => {
    const test = open();
    const first = await test.use();
    const second = await test.use();
    assert.deepEqual([first.start, second.start], ["cold", "warm"]);
    assert.deepEqual([second.id, second.calls], [first.id, 2]);
    const [a, b] = [await test.acquire(), await test.acquire()];
    a.release();
    b.release();
    assert.equal((await test.acquire()).instance, b.instance);
  });

  it("never serves another version, function or tenant with it, even for the same code", async () => {
    const test = open();
    const used = [
      await test.use(),
      await test.use({ version: "v2" }),
      await test.use({ name: "g" }),
      await test.use({ tenant: "other" }),
    ];
    assert.equal(new Set(used.map(({ id }) => id)).size, 4);
    assert.deepEqual(
      used.map(({ calls }) => calls),
      [1, 1, 1, 1],
    );
  });

  it("gives an instance to one call at a time", async () => {
    const test = open();
    const leases = await Promise.all([test.acquire(), test.acquire(), test.acquire()]);
    assert.equal(new Set(leases.map(({ instance }) => instance)).size, 3);
    assert.equal(test.pool.snapshot().busy, 3);
  });

  it("starts as many instances as calls need that hold theirs for long", async () => {
    const test = open({ maxSandboxes: 12 });
    const leases = await Promise.all(Array.from({ length: 12 }, () => test.acquire()));
    assert.equal(new Set(leases.map(({ instance }) => instance)).size, 12);
  });

  it("loads a version that was never loaded once, however many calls come", async () => {
    const test = open({ maxSandboxes: 20, prewarmed: 2 });
    for (const isolation of ["instance", "invocation"] as const) {
      const code = `await new Promise((done) => setTimeout(done, 300)); const id = crypto.randomUUID();
        export default () => Response.json({ id, calls: 1 });`;
      const calls = Array.from({ length: 20 }, () => test.use({ code, isolation, version: isolation, mayShare: true }));
      assert.equal(test.pool.snapshot().starting, 1);
      await Promise.all(calls);
    }
  });

  it("ends a discarded instance, and one whose call had not ended", async () => {
    const test = open();
    const [discarded, unfinished] = [await test.acquire(), await test.acquire({ code: hang, name: "hang" })];
    discarded.discard("test");
    void callText(unfinished).catch(() => {});
    unfinished.release();
    await Promise.all([discarded.instance.sandbox.exited, unfinished.instance.sandbox.exited]);
    assert.notEqual((await test.acquire()).instance, discarded.instance);
  });

  it("hears a second release or discard of one lease without effect", async () => {
    const test = open();
    const lease = await test.acquire();
    lease.release();
    lease.release();
    lease.discard("again");
    assert.deepEqual([test.pool.snapshot().busy, test.pool.snapshot().free], [0, 1]);
  });

  it("notices when an idle instance is killed from outside", async () => {
    const test = open();
    const lease = await test.acquire();
    lease.release();
    process.kill(lease.instance.sandbox.pid, "SIGKILL");
    await eventually(() => test.pool.snapshot().sandboxes === 0);
    assert.equal((await test.use()).start, "cold");
  });

  it("tells the call that wanted it when a version cannot be loaded", async () => {
    const test = open();
    await assert.rejects(test.acquire({ code: "throw new Error('no')" }), failure("FUNCTION_LOAD_FAILED"));
    await assert.rejects(test.acquire({ code: "export default 42" }), failure("FUNCTION_LOAD_FAILED"));
    await eventually(() => test.pool.snapshot().sandboxes === 0);
  });
});

describe("the pool: prewarmed sandboxes", () => {
  it("are taken by the first call of a version and made again after it", async () => {
    const test = open({ prewarmed: 2 });
    await test.pool.prewarm();
    assert.equal(test.pool.snapshot().blank, 2);
    assert.equal((await test.use()).start, "prewarmed");
    await eventually(() => test.pool.snapshot().blank === 2);
    assert.equal((await test.use({ name: "g" })).start, "prewarmed");
  });

  it("are kept of another class after its first use", async () => {
    const test = open({ prewarmed: 1 });
    assert.equal((await test.use({ memoryMiB: 256 })).start, "cold");
    await eventually(() => test.pool.snapshot().blank === 2);
    assert.equal((await test.use({ memoryMiB: 256, name: "g" })).start, "prewarmed");
  });

  it("are replaced when they die", async () => {
    const test = open({ prewarmed: 1 });
    await test.pool.prewarm();
    const zygote = await test.zygotePid();
    process.kill(zygote, "SIGKILL");
    await eventually(async () => (await test.zygotePid()) !== zygote);
    await eventually(() => test.pool.snapshot().blank === 1);
    assert.equal((await test.use()).start, "prewarmed");
  });
});

describe("the pool: limits", () => {
  it("holds no more sandboxes than allowed, and serves every call that waits", async () => {
    const test = open({ maxSandboxes: 2 });
    let most = 0;
    const calls = Array.from({ length: 12 }, async () => {
      const used = await test.use();
      most = Math.max(most, test.pool.snapshot().sandboxes);
      return used.id;
    });
    const ids = await Promise.all(calls);
    assert.ok(most <= 2, `${most} sandboxes`);
    assert.ok(new Set(ids).size <= 2);
    assert.equal(ids.length, 12);
  });

  it("keeps the sum of memory limits within the budget", async () => {
    const test = open({ memoryBudgetBytes: 512 * MIB });
    const used = Array.from({ length: 6 }, (_, index) => test.use({ name: `f${index}`, memoryMiB: 256 }));
    let most = 0;
    for (const call of used) {
      await call;
      most = Math.max(most, test.pool.snapshot().memoryBytes);
    }
    assert.ok(most <= 512 * MIB);
  });

  it("says what to change when a function can never fit", async () => {
    const test = open({ memoryBudgetBytes: 128 * MIB });
    await assert.rejects(test.acquire({ memoryMiB: 256 }), /256 MiB.*memoryMiB.*SANDPIPER_MEMORY_BUDGET_BYTES/);
  });

  it("makes room by ending the instance that was idle longest", async () => {
    const test = open({ maxSandboxes: 2 });
    const oldest = await test.use({ name: "oldest" });
    const newer = await test.use({ name: "newer" });
    await test.use({ name: "third" });
    assert.equal((await test.use({ name: "newer" })).id, newer.id);
    assert.notEqual((await test.use({ name: "oldest" })).id, oldest.id);
  });

  it("has instances and blanks make way for those of a newer zygote, and serves meanwhile", async () => {
    const test = open({ prewarmed: 1, idleMs: 1_000, renewal: { forks: 3, ageMs: 60_000 } });
    await test.pool.prewarm();
    const old = await test.zygotePid();
    const first = await test.use();
    // The third fork is the last of its zygote.
    await test.use({ name: "g" });
    await test.use({ name: "h" });
    await eventually(async () => (await test.zygotePid()) !== old);
    // Those in use are not waited for: of two retired zygotes the older one's make way at once.
    for (let round = 0; existsSync(`/proc/${old}`); round++) await test.use({ name: `f${round}` });
    assert.notEqual((await test.use()).id, first.id);
    assert.deepEqual(test.troubles, []);
  });

  it("ends an instance that was idle for too long", async () => {
    const test = open({ idleMs: 50 });
    const first = await test.use();
    await eventually(() => test.pool.snapshot().sandboxes === 0);
    assert.notEqual((await test.use()).id, first.id);
  });

  it("gives the place of a busy version to an older call of another one in the end", async () => {
    const test = open({ maxSandboxes: 1 });
    const order: string[] = [];
    const use = async (name: string) => {
      await test.use({ name });
      order.push(name);
    };
    await use("hot");
    const held = await test.acquire({ name: "hot" });
    const calls = [use("cold"), ...Array.from({ length: 100 }, () => use("hot"))];
    held.release();
    await Promise.all(calls);
    const place = order.indexOf("cold");
    assert.ok(place > 1 && place < 50, `the other version was served at place ${place}`);
  });

  it("serves calls that need little while one waits that needs much, and then that one", async () => {
    const test = open({ memoryBudgetBytes: 1_024 * MIB });
    const held = await test.acquire({ name: "large", memoryMiB: 512 });
    const little = await test.acquire({ name: "little" });
    const waiting = test.use({ name: "large", memoryMiB: 512 });
    for (let index = 0; index < 6; index++) assert.equal((await test.use({ name: `f${index}` })).calls, 1);
    assert.equal(test.pool.snapshot().waiting, 1);
    held.release();
    await waiting;
    little.release();
  });

  it("keeps room for a call that needs much when many that need little went before it", async () => {
    const test = open({ memoryBudgetBytes: 512 * MIB });
    const order: string[] = [];
    const use = async (name: string, memoryMiB: 128 | 512) => {
      await test.use({ name, memoryMiB });
      order.push(name);
    };
    const held = await test.acquire({ name: "little" });
    const calls = [use("large", 512), ...Array.from({ length: 100 }, (_, index) => use(`f${index}`, 128))];
    await eventually(() => order.length > 0);
    held.release();
    await Promise.all(calls);
    assert.ok(order.indexOf("large") < 60, `the large one was served at place ${order.indexOf("large")}`);
  });

  it("fails a call that waits for too long, and serves the next", async () => {
    const test = open({ maxSandboxes: 1 });
    const held = await test.acquire();
    await assert.rejects(test.acquire({ name: "g", expiresInMs: 20 }), failure("EXPIRED"));
    assert.equal(test.pool.snapshot().waiting, 0);
    held.release();
    assert.equal((await test.use()).start, "warm");
  });
});

describe("the pool: a zygote that dies", () => {
  it("fails the calls in course at once, and serves the next with a new one", async () => {
    const test = open();
    const lease = await test.acquire({ name: "hang", code: hangAloud, timeoutMs: LONGEST_CALL_MS });
    const zygotePid = await test.zygotePid();
    // What it logs says that it has begun; a call that has not would be given back.
    const begun = once(lease.instance.sandbox.wire, "data");
    const lost = assert.rejects(callText(lease), failure("SANDBOX_LOST"));
    await begun;
    process.kill(zygotePid, "SIGKILL");
    await lost;
    lease.release();
    assert.equal((await test.use()).calls, 1);
  });

  it("hangs no call that was waiting for a sandbox", async () => {
    const test = open();
    await test.use();
    const waiting = Array.from({ length: 4 }, (_, index) => test.use({ name: `f${index}` }));
    process.kill(await test.zygotePid(), "SIGKILL");
    const settled = await Promise.allSettled(waiting);
    for (const result of settled) {
      if (result.status === "rejected") assert.equal((result.reason as { code: string }).code, "SANDBOX_LOST");
    }
    assert.equal((await test.use({ name: "after" })).calls, 1);
  });
});

describe("the pool: closing", () => {
  it("ends every sandbox, and fails who waits and who comes", async () => {
    const test = open({ maxSandboxes: 1, prewarmed: 1 });
    const lease = await test.acquire();
    const waiting = assert.rejects(test.acquire({ name: "g" }), failure("WORKER_LOST"));
    await test.close();
    await waiting;
    await lease.instance.sandbox.exited;
    await assert.rejects(test.acquire(), failure("WORKER_LOST"));
    assert.equal(test.pool.snapshot().sandboxes, 0);
  });
});
