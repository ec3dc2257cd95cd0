/** A gateway's memory of proven domains follows Redis, also when announcements are missed. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, beforeEach, it } from "node:test";
import type { Redis } from "ioredis";
import { connectionLike, FAIL_FAST } from "../../../../functions/redis/connections.ts";
import { claimDomain, findDomain, proveDomain, removeDomain } from "../../../../functions/store/domains/domains.ts";
import { ProvenDomains } from "../../../../functions/store/domains/proven-domains.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { startRedis, type TestRedis } from "../../../helpers/redis.ts";

const NEVER_MS = 2 ** 30;
const TARGET = { functionName: "web", alias: null };

let server: TestRedis;
let redis: Redis;
before(async () => {
  server = await startRedis();
  redis = server.connect();
});
after(() => server.stop());
beforeEach(() => redis.flushall());

async function prove(name: string): Promise<void> {
  await claimDomain(redis, "main", name, TARGET, { seen: null, max: 100 });
  await proveDomain(redis, "main", await findDomain(redis, "main", name, null), { by: "dns" });
}

/** What follows Redis, once it listens. */
async function follow(lookMs: number): Promise<{ domains: ProvenDomains; changes: () => number; reads: Redis }> {
  const reads = connectionLike(redis, FAIL_FAST);
  if (reads.status !== "ready") await once(reads, "ready");
  let changes = 0;
  const domains = new ProvenDomains(reads, () => changes++, lookMs);
  // The first read comes when announcements can be heard.
  await eventually(() => changes > 0);
  return { domains, changes: () => changes, reads };
}

it("changes are heard", async () => {
  await prove("a.example.com");
  const { domains, reads } = await follow(NEVER_MS);
  try {
    assert.deepEqual(domains.get("a.example.com"), { tenant: "main", ...TARGET });
    await prove("b.example.com");
    await eventually(() => domains.get("b.example.com") !== undefined);
    await claimDomain(redis, "main", "b.example.com", { functionName: "web", alias: "x" }, { seen: null, max: 1 });
    await eventually(() => domains.get("b.example.com")?.alias === "x");
    await removeDomain(redis, "main", "a.example.com", null);
    await eventually(() => domains.get("a.example.com") === undefined);
  } finally {
    domains.close();
    reads.disconnect();
  }
});

it("changes while nobody listened are read when somebody does", async () => {
  const { domains, reads } = await follow(NEVER_MS);
  try {
    // Nothing is announced of a change that is made by hand.
    await redis.hset("sp:domains", "a.example.com", JSON.stringify({ tenant: "main", functionName: "web" }));
    await redis.client("KILL", "TYPE", "PUBSUB");
    await eventually(() => domains.get("a.example.com") !== undefined);
  } finally {
    domains.close();
    reads.disconnect();
  }
});

it("what could not be read is read again", async () => {
  const { domains, reads } = await follow(NEVER_MS);
  try {
    await prove("a.example.com");
    await eventually(() => domains.get("a.example.com") !== undefined);
    // The connection for reads fails at once while it is away, as a look then does.
    await redis.del("sp:domains");
    reads.disconnect(true);
    domains.look();
    assert.ok(domains.get("a.example.com"));
    await eventually(() => domains.get("a.example.com") === undefined);
  } finally {
    domains.close();
    reads.disconnect();
  }
});

it("a change that was not heard is found by the count of changes", async () => {
  const { domains, reads } = await follow(20);
  try {
    await redis.hset("sp:domains", "a.example.com", JSON.stringify({ tenant: "main", functionName: "web" }));
    await redis.incr("sp:domains:revision");
    await eventually(() => domains.get("a.example.com") !== undefined);
  } finally {
    domains.close();
    reads.disconnect();
  }
});
