/** Stopped tenants as a gateway knows them: by announcements, without asking for each call. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { Redis } from "ioredis";
import { createTenant } from "../../../functions/store/tenant.ts";
import { moveTenant } from "../../../functions/store/tenant-states.ts";
import { TenantStops } from "../../../functions/store/tenant-stops.ts";
import { eventually } from "../../helpers/eventually.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";

const HOUR_MS = 3_600_000;
let server: TestRedis;
let redis: Redis;
before(async () => {
  server = await startRedis();
  redis = server.connect();
});
after(() => server.stop());

it("hears of each change without looking, and knows what was before it listened", async () => {
  await Promise.all(["early", "late", "gone"].map((tenant) => createTenant(redis, tenant)));
  await moveTenant(redis, "early", "suspended");
  const stops = new TenantStops(redis, HOUR_MS);
  try {
    await eventually(() => stops.get("early") !== undefined);
    stops.checkCall("late", "f");
    await moveTenant(redis, "late", "suspended");
    await moveTenant(redis, "gone", "deleting");
    await eventually(() => stops.get("late") !== undefined && stops.get("gone") !== undefined);
    assert.throws(() => stops.checkCall("late", "f"), { code: "TENANT_SUSPENDED" });
    assert.throws(() => stops.checkCall("gone", "f"), { code: "FUNCTION_NOT_FOUND" });
    await moveTenant(redis, "late", "active");
    await eventually(() => stops.get("late") === undefined);
    stops.checkCall("late", "f");
  } finally {
    stops.close();
  }
});

it("lets nothing lead out of a deletion", async () => {
  await createTenant(redis, "ending");
  await moveTenant(redis, "ending", "deleting");
  const moves = ["active", "suspended"] as const;
  await Promise.all(
    moves.map((state) => assert.rejects(moveTenant(redis, "ending", state), { code: "TENANT_NOT_FOUND" })),
  );
  await moveTenant(redis, "ending", "deleting");
  await moveTenant(redis, "ending", "deleted");
  await assert.rejects(moveTenant(redis, "ending", "deleting"), { code: "TENANT_NOT_FOUND" });
});
