/** Places and processors that one tenant of a worker leaves to the others. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MIB } from "../../../infra/std/bytes.ts";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import type { LaunchedSandbox } from "../../../sandbox-core/launcher/sandbox.ts";
import type { Lease } from "../../../worker/pool/lease.ts";
import { eventually } from "../../helpers/eventually.ts";
import { begin, poolOpener } from "../../helpers/pool.ts";
import { LONGEST_CALL_MS } from "../../helpers/slowness.ts";

const open = poolOpener();
const spin = "export default () => { for (;;); };";

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
