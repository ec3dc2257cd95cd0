/**
 * Further instances of a version that is slow to load: forks of a template, several at once in one
 * sandbox.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import { groupsOf, ownerGroup } from "../../../sandbox-core/cgroup/sweep.ts";
import type { Lease } from "../../../worker/pool/lease.ts";
import { eventually } from "../../helpers/eventually.ts";
import { NATIVE_FLAGS } from "../../helpers/native-module.ts";
import { begin, callText, type FunctionOptions, poolOpener, TestPool } from "../../helpers/pool.ts";
import { stretched } from "../../helpers/slowness.ts";
import { isRoots } from "../../helpers/zygotes.ts";

/** Longer than what makes a template worth its cost. */
const SLOW = "for (const end = Date.now() + 150; Date.now() < end; ); globalThis.module = crypto.randomUUID();";
const cgroups = detectCgroups();

// Groups are counted: a whole sandbox that waits looks like any other.
const open = poolOpener({ sandboxesAhead: false });

let versions = 0;

/** A slow version that does this in each call, with `path` and `query` of the request at hand. */
function slow(does: string, more: FunctionOptions & { module?: string } = {}): FunctionOptions {
  const { module = "", ...options } = more;
  const code = `import * as fs from "node:fs"; ${SLOW} ${module}
    let calls = 0; const forever = () => { for (;;) native.poll(Buffer.alloc(0), 0, -1); };
    export default async (request) => {
      const { pathname: path, search } = new URL(request.url);
      const query = search.slice(1);
      calls += 1;
      ${does}
    };`;
  return { code, version: `forks-${++versions}`, timeoutMs: stretched(20_000), ...options };
}

const WHO = "return Response.json({ id: globalThis.module, calls, pid: process.pid, query });";

/** So many instances of one version, each in use. */
async function instances(pool: TestPool, options: FunctionOptions, count: number): Promise<Lease[]> {
  const leases: Lease[] = [];
  for (let made = 0; made < count; made++) leases.push(await pool.acquire(options));
  return leases;
}

async function json(lease: Lease, path = "/") {
  return JSON.parse(await callText(lease, path));
}

const code = (expected: string) => (error: Error & { code?: string }) => error.code === expected;

/**
 * The control groups of the sandboxes and forks of a pool; that of the fork that its zygote made
 * ahead is root's still.
 */
async function groups(pool: TestPool): Promise<string[]> {
  const own = ownerGroup(await pool.zygotePid());
  // One without members is being made or removed.
  await eventually(() => groupsOf(cgroups, own).every((group) => cgroups.members(group).length > 0));
  return groupsOf(cgroups, own)
    .filter((group) => !cgroups.members(group).every(isRoots))
    .sort();
}

describe("a version that is slow to load", () => {
  it("is loaded once for many first calls, and all of them are answered", async () => {
    const pool = open({ maxSandboxes: 24, prewarmed: 1 });
    await pool.pool.prewarm();
    const options = slow(`await new Promise((done) => setTimeout(done, 20)); ${WHO}`);
    const answers = await Promise.all(Array.from({ length: 20 }, () => pool.use({ ...options, mayShare: true })));
    assert.equal(new Set(answers.map(({ id }) => id)).size, 1);
    const starts = answers.map(({ start }) => start);
    assert.equal(starts.filter((start) => start === "prewarmed").length, 1);
    assert.ok(starts.includes("forked"));
    assert.ok(starts.every((start) => ["prewarmed", "forked", "warm"].includes(start)));
  });

  it("has instances with a state of their own, which goes from call to call", async () => {
    const pool = open();
    const leases = await instances(pool, slow(WHO), 3);
    assert.deepEqual(
      leases.map(({ start }) => start.kind),
      ["cold", "forked", "forked"],
    );
    const answers = await Promise.all(leases.map((lease, index) => json(lease, `/?${index}`)));
    assert.equal(new Set(answers.map(({ id }) => id)).size, 1);
    assert.equal(new Set(answers.map(({ pid }) => pid)).size, 3);
    assert.deepEqual(
      answers.map(({ calls, query }) => [calls, query]),
      [0, 1, 2].map((index) => [1, String(index)]),
    );
    assert.equal((await json(leases[1] as Lease)).calls, 2);
  });

  it("draws other random values in each instance", async () => {
    const pool = open();
    const leases = await instances(
      pool,
      slow(
        `const crypto = require("node:crypto");
        return Response.json([Math.random(), crypto.randomUUID(), crypto.randomInt(2 ** 47), crypto.randomBytes(8).toString("hex")]);`,
        {
          module: "crypto.randomUUID(); Math.random();",
        },
      ),
      4,
    );
    const drawn = (await Promise.all(leases.map((lease) => json(lease)))).flat();
    assert.equal(new Set(drawn).size, drawn.length);
  });

  it("is served by the process that loaded it where there is no room for more", async () => {
    const pool = open({ maxSandboxes: 1 });
    const options = slow(WHO);
    const [first, second] = [await pool.use(options), await pool.use(options)];
    assert.deepEqual([first.start, second.start, second.calls], ["cold", "warm", 2]);
    assert.equal((await groups(pool)).length, 1);
    assert.equal(pool.pool.snapshot().sandboxes, 1);
  });

  it("makes room for others, its template last", async () => {
    const pool = open({ maxSandboxes: 2 });
    await pool.use(slow(WHO));
    assert.equal(pool.pool.snapshot().sandboxes, 2);
    const leases = [await pool.acquire({ name: "a" }), await pool.acquire({ name: "b" })];
    assert.equal(pool.pool.snapshot().sandboxes, 2);
    for (const lease of leases) lease.release();
  });

  it("is kept for as long as it is used, and then nothing of it is", async () => {
    const pool = open({ idleMs: 200 });
    const lease = await pool.acquire(slow(WHO));
    await json(lease);
    assert.equal((await groups(pool)).length, 2);
    lease.release();
    await eventually(() => pool.pool.snapshot().sandboxes === 0);
    assert.deepEqual(await groups(pool), []);
  });

  it("has no further instance of a template whose zygote makes way", async () => {
    const pool = open({ renewal: { forks: 2, ageMs: 1_000 } });
    const options = slow(WHO);
    const lease = await pool.acquire(options);
    const before = await json(lease);
    await pool.use({ name: "other" });
    await eventually(() => lease.instance.sandbox.outdated);
    const next = await pool.acquire(options);
    assert.notEqual((await json(next)).id, before.id);
    assert.equal((await json(lease)).id, before.id);
    next.release();
    lease.release();
  });

  it("is loaded for each instance when it cannot be forked, and says why", async () => {
    const pool = open();
    const [one, other] = await instances(pool, slow(WHO, { module: "setInterval(() => {}, 1000);" }), 2);
    assert.match(one?.instance.noTemplateReason ?? "", /keeps something open: Timeout/);
    assert.notEqual((await json(one as Lease)).id, (await json(other as Lease)).id);
    assert.equal(pool.pool.snapshot().sandboxes, 2);
  });
});

describe("instances in one sandbox", () => {
  let pool: TestPool;
  before(() => {
    pool = new TestPool({ zygoteFlags: NATIVE_FLAGS, maxSandboxes: 64, memoryBudgetBytes: 2 ** 34 });
  });
  after(() => pool.close());

  const BAD = (does: string) => slow(`if (path === "/bad") { ${does} } ${WHO}`);

  const ENDS: { what: string; does: string; code: string; timeoutMs?: number }[] = [
    { what: "spins", does: "for (;;);", code: "TIMEOUT", timeoutMs: stretched(300) },
    {
      what: "stops itself",
      does: "native.kill(process.pid, 19); for (;;);",
      code: "TIMEOUT",
      timeoutMs: stretched(300),
    },
    { what: "exits", does: "process.exit(3);", code: "FUNCTION_EXITED" },
    { what: "aborts", does: "process.abort();", code: "KILLED" },
    { what: "closes its wire and lives on", does: "native.close(3); forever();", code: "KILLED" },
    {
      what: "needs too much memory",
      does: "const kept = []; for (;;) kept.push(Buffer.alloc(1 << 20, 1));",
      code: "OUT_OF_MEMORY",
    },
  ];
  for (const { what, does, code: expected, timeoutMs = stretched(20_000) } of ENDS)
    it(`one whose call ${what} ends alone`, async () => {
      const [bad, good] = await instances(pool, { ...BAD(does), timeoutMs }, 2);
      const { id } = await json(good as Lease);
      await assert.rejects(json(bad as Lease, "/bad"), code(expected));
      bad?.release();
      assert.deepEqual([(await json(good as Lease)).id, (await json(good as Lease)).calls], [id, 3]);
      good?.release();
    });

  it("take with them what they started, and nothing of the others", async () => {
    const options = BAD(`for (let n = 0; n < 5; n++) if (native.fork() === 0) forever(); return new Response("");`);
    const [bad, good] = await instances(pool, options, 2);
    await callText(bad as Lease, "/bad");
    await callText(good as Lease, "/bad");
    const { sandbox } = (bad as Lease).instance;
    assert.equal(sandbox.stats()?.tasks, 6);
    bad?.discard("test");
    await sandbox.exited;
    assert.equal((good as Lease).instance.sandbox.stats()?.tasks, 6);
    assert.equal((await json(good as Lease)).calls, 2);
    good?.discard("test");
  });

  it("have limits and figures of their own", async () => {
    const options = BAD(`let made = 0;
      try { for (; made < 200; made++) if (native.fork() === 0) forever(); } catch {}
      for (const end = process.cpuUsage().user + 100_000; process.cpuUsage().user < end; );
      return Response.json(made);`);
    const [bad, good] = await instances(pool, options, 2);
    assert.ok(((await json(bad as Lease, "/bad")) as number) < 64);
    assert.equal(((await json(good as Lease)) as { calls: number }).calls, 1);
    const [spun, idle] = [bad, good].map((lease) => (lease as Lease).instance.sandbox.usage().cpuMs);
    assert.ok((spun ?? 0) > (idle ?? 0) + 50, `${spun} ms and ${idle} ms`);
    assert.ok(
      ((await json(good as Lease, "/bad")) as number) > 32,
      "the tasks of the other are not counted with its own",
    );
    for (const lease of [bad, good]) lease?.discard("test");
  });

  it("are frozen alone, and end as they are", async () => {
    const [frozen, other] = (await instances(pool, slow(WHO), 2)) as [Lease, Lease];
    const { sandbox } = frozen.instance;
    await sandbox.freeze();
    assert.equal(sandbox.stats()?.frozen, true);
    assert.equal((await json(other)).calls, 1);
    await sandbox.thaw();
    assert.equal((await json(frozen)).calls, 1);
    await sandbox.freeze();
    frozen.discard("test");
    await sandbox.exited;
    assert.equal((await json(other)).calls, 2);
    other.discard("test");
  });

  it("have a /tmp of their own, of which nothing is left when they have ended", async () => {
    const options = slow(`if (path === "/bad") {
        fs.mkdirSync("/tmp/a/b", { recursive: true });
        for (let n = 0; n < 600; n++) fs.writeFileSync("/tmp/a/b/" + n, "x");
        fs.symlinkSync("/", "/tmp/root");
        fs.writeFileSync("/tmp/name", query);
      }
      return Response.json([fs.readdirSync("/tmp").sort(), fs.existsSync("/tmp/name") && fs.readFileSync("/tmp/name", "utf8"),
        fs.readdirSync("/scratch")]);`);
    const leases = await instances(pool, options, 3);
    const [one, two, three] = leases as [Lease, Lease, Lease];
    const names = ["a", "name", "root"];
    assert.deepEqual((await json(one, "/bad?1")).slice(0, 2), [names, "1"]);
    assert.deepEqual((await json(two, "/bad?2")).slice(0, 2), [names, "2"]);
    assert.deepEqual((await json(one)).slice(0, 2), [names, "1"]);
    assert.deepEqual(await json(three), [[], false, ["1", "2", "3"]]);
    one.discard("test");
    await one.instance.sandbox.exited;
    assert.deepEqual(await json(three), [[], false, ["2", "3"]]);
    assert.deepEqual((await json(two)).slice(0, 2), [names, "2"]);
    for (const lease of [two, three]) lease.discard("test");
  });

  it("cannot be seen, traced or read by each other", async () => {
    const options = slow(`
      const tried = (what) => { try { what(); return "done"; } catch (error) { return error.code; } };
      return Response.json([
        fs.readdirSync("/proc").filter((name) => /^\\d+$/.test(name)).map(Number),
        tried(() => fs.readdirSync("/proc/" + query)), tried(() => fs.openSync("/proc/" + query + "/mem")), process.pid,
      ]);`);
    const [one, other] = await instances(pool, options, 2);
    const pid = (await json(one as Lease))[3];
    const [seen, listed, read, own] = await json(other as Lease, `/?${pid}`);
    assert.deepEqual([seen, listed, read], [[own], "ENOENT", "ENOENT"]);
    for (const lease of [one, other]) lease?.discard("test");
  });

  it("end with their template, and the next call has another", async () => {
    const options = slow(`console.log("began"); await new Promise(() => {});`);
    const [one, other] = await instances(pool, options, 2);
    // What they log says that they have begun; a call that has not goes to another instance.
    const begun = [one, other].map((lease) => once((lease as Lease).instance.sandbox.wire, "data"));
    const calls = [one, other].map((lease) => begin(lease as Lease));
    await Promise.all(begun);
    const template = templatePid((one as Lease).instance.sandbox.pid);
    process.kill(template, "SIGKILL");
    await Promise.all(calls.map((replied) => assert.rejects(replied, code("KILLED"))));
    for (const lease of [one, other]) lease?.release();
    assert.equal((await pool.acquire(options)).start.kind, "cold");
  });

  it("end with their sandbox when their template does not end them", async () => {
    const options = slow("for (;;);", { timeoutMs: stretched(300) });
    const [one, other] = await instances(pool, options, 2);
    process.kill(templatePid((one as Lease).instance.sandbox.pid), "SIGSTOP");
    await assert.rejects(json(one as Lease), code("TIMEOUT"));
    await Promise.all([one, other].map((lease) => lease?.instance.sandbox.exited));
    for (const lease of [one, other]) lease?.release();
  });
});

describe("the hook afterRestore", () => {
  const HOOK = "let seed = 'shared'; export async function afterRestore() { await null; seed = crypto.randomUUID(); }";
  for (const isolation of ["instance", "invocation"] as const)
    it(`runs in each copy before its first call: ${isolation}`, async () => {
      const pool = open();
      const options = slow("return Response.json(seed);", { module: HOOK, isolation });
      const seeds: string[] = [];
      for (const lease of await instances(pool, options, 3)) seeds.push(await json(lease));
      assert.equal(new Set([...seeds, "shared"]).size, 4);
    });

  const FAILS: [what: string, module: string, expected: string][] = [
    ["throws", "export const afterRestore = () => { throw new Error('no seed'); };", "FUNCTION_RESTORE_FAILED"],
    ["rejects", "export const afterRestore = async () => { throw 1; };", "FUNCTION_RESTORE_FAILED"],
    [
      "throws aside",
      "export const afterRestore = () => new Promise(() => setTimeout(() => { throw 1; }));",
      "FUNCTION_RESTORE_FAILED",
    ],
    ["exits", "export const afterRestore = () => process.exit(1);", "FUNCTION_EXITED"],
    ["is none", "export const afterRestore = 1;", "FUNCTION_LOAD_FAILED"],
  ];
  for (const [what, module, expected] of FAILS)
    it(`fails the call when it ${what}`, async () => {
      const pool = open();
      for (const isolation of ["instance", "invocation"] as const)
        await assert.rejects(pool.acquire(slow(WHO, { module, isolation })), code(expected));
      await eventually(() => pool.pool.snapshot().busy + pool.pool.snapshot().starting === 0);
    });
});

it("nothing is left when instances, templates and pools have ended", async () => {
  const before = readdirSync("/proc/self/fd").length;
  const pool = new TestPool({ idleMs: 200, sandboxesAhead: false });
  const zygotePid = await pool.zygotePid();
  const group = ownerGroup(zygotePid);
  for (const lease of await instances(pool, slow(WHO), 4)) {
    await json(lease);
    lease.discard("test");
  }
  await eventually(() => groupsOf(cgroups, group).length === 1);
  await pool.close();
  assert.deepEqual(groupsOf(cgroups, group), []);
  assert.ok(readdirSync("/proc/self/fd").length <= before + 2);
});

/** The parent of a fork. */
function templatePid(pid: number): number {
  return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}
