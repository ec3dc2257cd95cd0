/** Claims and proofs in Redis, where they meet. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { Redis } from "ioredis";
import {
  claimDomain,
  findDomain,
  forgetDomainsOf,
  proveDomain,
  removeDomain,
} from "../../../../functions/store/domains/domains.ts";
import { startRedis, type TestRedis } from "../../../helpers/redis.ts";

const NAME = "shop.example.com";
const TERMS = { seen: null, max: 100 };
let server: TestRedis;
let redis: Redis;
before(async () => {
  server = await startRedis();
  redis = server.connect();
});
after(() => server.stop());

const claim = (tenant: string) => claimDomain(redis, tenant, NAME, { functionName: "web", alias: null }, TERMS);
const find = (tenant: string) => findDomain(redis, tenant, NAME, null);

it("a proof is for the claim whose token was looked up, and for no later one", async () => {
  await claim("main");
  const looked = await find("main");
  await removeDomain(redis, "main", NAME, null);
  await claim("main");
  await assert.rejects(proveDomain(redis, "main", looked, { by: "dns" }), { code: "DOMAIN_NOT_FOUND" });
  assert.equal((await find("main")).proven, null);
});

it("the domains of one tenant are forgotten, and of no other", async () => {
  await claim("main");
  await proveDomain(redis, "main", await find("main"), { by: "dns" });
  await forgetDomainsOf(redis, "mai");
  await forgetDomainsOf(redis, "other");
  assert.equal((await find("main")).proven?.by, "dns");
  await forgetDomainsOf(redis, "main");
  assert.equal((await find("main")).proven?.by, "dns", "the tenant claims it still");
  await redis.del("sp:domainclaims:main");
  await forgetDomainsOf(redis, "main");
  assert.deepEqual(await redis.hkeys("sp:domains"), []);
});
