import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { Redis } from "ioredis";
import { FULL_GRANT } from "../../../functions/model/scopes.ts";
import { authenticate, createKey, createTenant, registerKey } from "../../../functions/store/tenant.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";

let server: TestRedis;
let redis: Redis;
before(async () => {
  server = await startRedis();
  redis = server.connect();
});
after(() => server.stop());

it("knows whose key it is, and nobody else's", async () => {
  const { key, keyId } = await createKey(redis, "main");
  const other = await createKey(redis, "other");
  assert.deepEqual(await authenticate(redis, key), { tenant: "main", keyId, ...FULL_GRANT });
  const wrongSecret = `${key.slice(0, -1)}${key.endsWith("A") ? "B" : "A"}`;
  const mixed = key.split("_").with(2, other.key.split("_").slice(2).join("_")).join("_");
  for (const wrong of ["", "sp_", wrongSecret, mixed, key.slice(0, -1), `${key}A`, ` ${key}`, key.toUpperCase()]) {
    assert.equal(await authenticate(redis, wrong), null, wrong);
  }
});

it("keeps no key that could be read back", async () => {
  const { key } = await createKey(redis, "main");
  const secret = key.split("_").slice(2).join("_");
  for (const name of await redis.keys("sp:apikey:*")) assert.ok(!(await redis.get(name))?.includes(secret));
});

it("registers a key once, and never for two", async () => {
  const key = `sp_${"0".repeat(12)}_${"s".repeat(43)}`;
  assert.deepEqual(await registerKey(redis, "main", key), { keyId: "0".repeat(12) });
  await registerKey(redis, "main", key);
  await assert.rejects(registerKey(redis, "other", key), { code: "INVALID_REQUEST" });
  await assert.rejects(registerKey(redis, "main", `sp_${"0".repeat(12)}_${"t".repeat(43)}`), {
    code: "INVALID_REQUEST",
  });
  assert.deepEqual(await authenticate(redis, key), { tenant: "main", keyId: "0".repeat(12), ...FULL_GRANT });
  await assert.rejects(registerKey(redis, "main", "sp_short"), { code: "INVALID_REQUEST" });
});

it("makes no tenant whose name could not be in a URL or a Redis key", async () => {
  for (const name of ["", "A", "a:b", "a/b", "-a", "a-", "a".repeat(64), "__proto__"]) {
    await assert.rejects(createTenant(redis, name), { code: "INVALID_NAME" });
  }
  await createTenant(redis, "a".repeat(63));
});
