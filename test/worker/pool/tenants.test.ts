/** Places and processors that one tenant of a worker leaves to the others. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MIB } from "../../../infra/std/bytes.ts";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import type { LaunchedSandbox } from "../../../sandbox-core/launcher/sandbox.ts";
import type { Lease } from "../../../worker/pool/lease.ts";
import { eventually } from "../../helpers/eventually.ts";
import { NO_QUOTAS } from "../../helpers/gateway.ts";
import { begin, poolOpener } from "../../helpers/pool.ts";
import { LONGEST_CALL_MS } from "../../helpers/slowness.ts";

const open = poolOpener();
/** Settings of tenants: a weight, and a limit of memory. */
const settings = (weights: Record<string, number>, memoryInUse: Record<string, number>) => ({
  weightOf: (tenant: string) => weights[tenant] ?? 100,
  of: (tenant: string) => ({ own: { ...NO_QUOTAS, memoryInUse: memoryInUse[tenant] ?? 0 }, functions: null }),
});
const spin = "export default () => { for (;;); };";
/** Of so little, a function that does anything uses too much. */
function smallMachine() {
  const [used, yielding, state] = [{ bySandboxes: 1, byOthers: 0 }, [] as boolean[], { isStopped: false }];
  const machine = {
    processors: 0.1,
    look: () => used,
    setYielding: (isYielding: boolean) => void yielding.push(isYielding),
    stopYielding() {
      state.isStopped = true;
    },
  };
  return { machine, used, yielding, state };
}

test("a tenant with calls for all places leaves some for others, and has what its own calls give back", async () => {
  // As much memory as 16 sandboxes may have, of which each tenant may have 14.
  const pool = open({ maxSandboxes: 64, memoryBudgetBytes: 16 * 128 * MIB });
  const leases: Lease[] = [];
  const calls = Array.from({ length: 15 }, () => pool.acquire({ tenant: "many" }).then((lease) => leases.push(lease)));
  await eventually(() => leases.length === 14);
  const few = await pool.acquire({ tenant: "few" });
  assert.deepEqual([leases.length, pool.pool.snapshot().waiting], [14, 1]);
  leases[0]?.release();
  await Promise.all(calls);
  assert.equal(few.start.kind, "cold");
});

test("busy sandboxes of one tenant weigh as much together as one of another", async () => {
  const pool = open({ maxSandboxes: 8 });
  const driver = detectCgroups();
  const weightOf = ({ instance }: Lease) => driver.cpuWeight((instance.sandbox as LaunchedSandbox).group);
  // Of one function there would be no more instances than processors.
  const use = async (tenant: string, name: string) => {
    const lease = await pool.acquire({ tenant, name, code: spin, timeoutMs: LONGEST_CALL_MS });
    void begin(lease).catch(() => {});
    return lease;
  };
  const many = await Promise.all(["a", "b", "c", "d"].map((name) => use("many", name)));
  const few = await use("few", "a");
  await eventually(() => many.every((lease) => weightOf(lease) === 25));
  assert.equal(weightOf(few), 100);
  for (const lease of many.splice(1)) lease.discard("the test wants it");
  await eventually(() => many.every((lease) => weightOf(lease) === 100));
});

test("a tenant has no more memory for calls than its limit, and others go on", async () => {
  const pool = open({ maxSandboxes: 8, tenants: settings({}, { many: 256 * MIB, small: 64 * MIB }) });
  const [one, two] = await Promise.all(["a", "b"].map((name) => pool.acquire({ tenant: "many", name })));
  const refused = { code: "CALL_QUOTA", outcome: "platform_error" };
  const message = new RegExp(`^many may have ${256 * MIB} bytes .* \\(memoryInUse\\), and has ${256 * MIB}\\.`);
  const third = pool.acquire({ tenant: "many", name: "c" });
  const few = pool.acquire({ tenant: "few" });
  await Promise.all([
    assert.rejects(third, { ...refused, message }),
    assert.rejects(pool.acquire({ tenant: "small" }), { ...refused, message: /^small may have/ }),
    few,
  ]);
  const waits = pool.acquire({ tenant: "many", name: "d" });
  one?.release();
  await waits;
  assert.equal(pool.pool.snapshot().busy, 3);
  two?.release();
});

test("a tenant's weight is that of its busy sandboxes together", async () => {
  const pool = open({ maxSandboxes: 8, tenants: settings({ heavy: 400 }, {}) });
  const driver = detectCgroups();
  const use = async (tenant: string, name: string) => {
    const lease = await pool.acquire({ tenant, name, code: spin, timeoutMs: LONGEST_CALL_MS });
    void begin(lease).catch(() => {});
    return () => driver.cpuWeight((lease.instance.sandbox as LaunchedSandbox).group);
  };
  const heavy = await Promise.all(["a", "b"].map((name) => use("heavy", name)));
  const light = await use("light", "a");
  await eventually(() => heavy.every((weight) => weight() === 200));
  assert.equal(light(), 100);
});

test("the sandboxes of a tenant that burns processors are idle until it does no more", async () => {
  const { machine, yielding } = smallMachine();
  const pool = open({ maxSandboxes: 8, machine });
  const driver = detectCgroups();
  const groupOf = ({ instance }: Lease) => (instance.sandbox as LaunchedSandbox).group;
  const light = await pool.acquire({ tenant: "light" });
  const [burning, free] = await Promise.all([
    pool.acquire({ tenant: "hog", name: "burning", code: spin, timeoutMs: LONGEST_CALL_MS }),
    pool.acquire({ tenant: "hog", name: "free" }),
  ]);
  const groups = [burning, free].map(groupOf);
  free.release();
  const running = begin(burning).catch(() => {});
  await eventually(() => groups.every((group) => driver.isCpuIdle(group)));
  assert.deepEqual([driver.isCpuIdle(groupOf(light)), yielding.at(-1)], [false, true]);
  // One that is started now has to wait, too.
  const another = await pool.acquire({ tenant: "hog", name: "another" });
  assert.equal(driver.isCpuIdle(groupOf(another)), true);
  burning.discard("the test wants it");
  await running;
  await eventually(() => !driver.isCpuIdle(groups[1] as string) && yielding.at(-1) === false);
  assert.deepEqual([driver.isCpuIdle(groupOf(another)), driver.cpuWeight(groupOf(another))], [false, 100]);
});

test("a tenant burns while others leave its sandboxes little, and the pool's end gives them back", async () => {
  const { machine, used, yielding, state } = smallMachine();
  const pool = open({ maxSandboxes: 8, machine });
  const burning = await pool.acquire({ tenant: "hog", code: spin, timeoutMs: LONGEST_CALL_MS });
  const running = begin(burning).catch(() => {});
  await eventually(() => yielding.at(-1) === true);
  // Less than makes a worker look who burns.
  used.bySandboxes = 0.01;
  const before = yielding.length;
  await eventually(() => yielding.length >= before + 16);
  assert.deepEqual(new Set(yielding.slice(before)), new Set([true]));
  burning.discard("the test wants it");
  await running;
  assert.equal(state.isStopped, false);
  await pool.pool.close();
  assert.equal(state.isStopped, true);
});
