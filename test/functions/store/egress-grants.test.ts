import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, it } from "node:test";
import type { Redis } from "ioredis";
import { NO_GRANTS } from "../../../functions/model/egress-grants.ts";
import { allGrants, changeGrants, GRANT_CHANGES, grantsOf } from "../../../functions/store/egress-grants.ts";
import { startRedis, type TestRedis } from "../../helpers/redis.ts";

let server: TestRedis;
let redis: Redis;
before(async () => {
  server = await startRedis();
  redis = server.connect();
});
after(() => server.stop());

const deny = (tenant: string, rule: string) =>
  changeGrants(redis, tenant, (before) => ({ ...before, deny: [...before.deny, rule].sort() }));

it("keeps the grants of each tenant, and tells of changes", async () => {
  assert.deepEqual(await grantsOf(redis, "a"), NO_GRANTS);
  const subscriber = server.connect();
  await subscriber.subscribe(GRANT_CHANGES);
  const told = once(subscriber, "message");
  assert.deepEqual((await deny("a", "x.com")).deny, ["x.com"]);
  assert.deepEqual(await told, [GRANT_CHANGES, "a"]);
  assert.deepEqual((await grantsOf(redis, "a")).deny, ["x.com"]);
  assert.deepEqual(await grantsOf(redis, "b"), NO_GRANTS);
  await deny("b", "y.com");
  assert.deepEqual(
    (await allGrants(redis)).map(([tenant]) => tenant),
    ["a", "b"],
  );
  await changeGrants(redis, "a", () => null);
  assert.deepEqual(await grantsOf(redis, "a"), NO_GRANTS);
});

it("loses no change of several at once", async () => {
  const rules = Array.from({ length: 8 }, (_, i) => `n${i}.com`);
  await Promise.all(rules.map((rule) => deny("busy", rule)));
  assert.deepEqual((await grantsOf(redis, "busy")).deny, rules);
});
