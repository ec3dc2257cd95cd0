import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig } from "../../../infra/config.ts";
import { workerEnvironment } from "../../../infra/up/worker-environment.ts";

test("workers of one machine share no user id, and no memory twice", () => {
  const env = {
    SANDPIPER_UID_BASE: "500000",
    SANDPIPER_UID_COUNT: "1000",
    SANDPIPER_MEMORY_BUDGET_BYTES: "3000000000",
  };
  const workers = [0, 1, 2].map((index) => loadConfig({ ...env, ...workerEnvironment(env, index, 3) }).worker);
  for (const [index, worker] of workers.entries()) {
    const next = workers[index + 1]?.uidBase ?? 501_000;
    assert.ok(worker.uidBase >= 500_000 && worker.uidBase + worker.uidCount <= next);
  }
  assert.ok(workers.reduce((sum, worker) => sum + worker.memoryBudgetBytes, 0) <= 3_000_000_000);
  assert.equal(new Set(workers.map(({ workerId }) => workerId)).size, 3);
});
