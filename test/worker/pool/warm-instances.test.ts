/** Instances of a pool that stay, however idle, and make way for nobody. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Version } from "../../../functions/model/version.ts";
import { MIB } from "../../../infra/std/bytes.ts";
import type { Lease } from "../../../worker/pool/lease.ts";
import { TenantRoom } from "../../../worker/pool/tenant-room.ts";
import { eventually } from "../../helpers/eventually.ts";
import { NO_QUOTAS } from "../../helpers/gateway.ts";
import { demandOf, poolOpener, type TestPool } from "../../helpers/pool.ts";

const open = poolOpener();

/** Has an instance of a function there, without a call, and says that it is to stay. */
async function keepOne(pool: TestPool, name: string, tenant = "main"): Promise<void> {
  const demand = demandOf({ name, tenant });
  pool.pool.warm.keep([{ ...demand.version, count: 1 }]);
  assert.equal(await pool.pool.warm.start(demand), true);
}

test("an instance that is kept stays while others have calls for all places", async () => {
  const pool = open({ maxSandboxes: 3 });
  await keepOne(pool, "kept");
  const leases: Lease[] = [];
  const calls = ["a", "b", "c"].map((name) => pool.acquire({ name }).then((lease) => leases.push(lease)));
  await eventually(() => leases.length === 2 && pool.pool.snapshot().waiting === 1);
  assert.equal((await pool.use({ name: "kept" })).start, "warm");
  assert.deepEqual(pool.pool.warm.counts(), { wantedWarm: 1, warm: 1 });
  leases[0]?.release();
  await Promise.all(calls);
  assert.equal((await pool.use({ name: "kept" })).start, "warm");
});

test("one that is kept no more makes way, and one beyond those that are", async () => {
  const pool = open({ maxSandboxes: 2 });
  await keepOne(pool, "kept");
  assert.equal(await pool.pool.warm.start(demandOf({ name: "kept" })), true);
  const first = await pool.acquire({ name: "a" });
  assert.deepEqual(pool.pool.warm.counts(), { wantedWarm: 1, warm: 1 });
  pool.pool.warm.keep([]);
  const second = await pool.acquire({ name: "b" });
  assert.deepEqual([first.start.kind, second.start.kind], ["cold", "cold"]);
});

test("idle ones end, and those that are kept stay", async () => {
  const pool = open({ maxSandboxes: 4, idleMs: 50 });
  await keepOne(pool, "kept");
  await pool.use({ name: "other" });
  await eventually(() => pool.pool.snapshot().sandboxes === 1);
  assert.equal((await pool.use({ name: "kept" })).start, "warm");
});

test("those that are kept count as what their tenant has", () => {
  // Each tenant may have 14 of 16.
  const limits = { maxSandboxes: 16, memoryBudgetBytes: 64 * 128 * MIB };
  const rooms = [1, 0].map((count) => {
    const kept = () => [{ tenant: "many", memoryMiB: 128, count }];
    return new TenantRoom({ limits, kept, tenants: undefined, lookAgain() {} });
  });
  for (const room of rooms) for (let index = 0; index < 13; index++) room.begin("many", 128);
  const haveTheirPart = (tenant: string) => {
    const version = { tenant, config: { memoryMiB: 128 } } as Version;
    return rooms.map((room) => room.holdsBack({ version, sinceMs: 0, fail() {} }));
  };
  assert.deepEqual(haveTheirPart("many"), [true, false]);
  assert.deepEqual(haveTheirPart("few"), [false, false]);
});

test("those that are kept count to the limit of their tenant's memory", async () => {
  const own = { ...NO_QUOTAS, memoryInUse: 256 * MIB };
  const pool = open({ tenants: { weightOf: () => 100, of: () => ({ own, functions: null }) } });
  await keepOne(pool, "kept", "many");
  const used = await pool.acquire({ tenant: "many", name: "a" });
  const message = new RegExp(`\\(memoryInUse\\), and has ${256 * MIB}\\.`);
  await assert.rejects(pool.acquire({ tenant: "many", name: "b" }), { code: "CALL_QUOTA", message });
  used.release();
  (await pool.acquire({ tenant: "many", name: "b" })).release();
});

test("none is started ahead while a call waits, and its failure is told to whoever asked", async () => {
  const pool = open({ maxSandboxes: 1 });
  const lease = await pool.acquire({ name: "a" });
  const waiting = pool.acquire({ name: "b" });
  assert.equal(await pool.pool.warm.start(demandOf({ name: "kept" })), false);
  lease.release();
  (await waiting).release();
  const calm = open();
  const broken = demandOf({ name: "broken", code: "throw new Error('no');" });
  await assert.rejects(calm.pool.warm.start(broken), { code: "FUNCTION_LOAD_FAILED" });
  assert.deepEqual(calm.troubles, []);
});

test("who keeps one hears when it ends, and of no other", async () => {
  const pool = open();
  await keepOne(pool, "kept");
  let lost = 0;
  pool.pool.warm.onLost = () => {
    lost += 1;
  };
  const other = await pool.acquire({ name: "other" });
  const gone = other.instance.sandbox.exited;
  other.discard("the test wants it");
  await gone;
  const lease = await pool.acquire({ name: "kept" });
  lease.discard("the test wants it");
  await eventually(() => lost > 0 && pool.pool.snapshot().sandboxes === 0);
  assert.equal(lost, 1);
});
