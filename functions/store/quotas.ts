/**
 * Quotas that operators set, and what is counted of them for all gateways together: leases of
 * calls, and deployments.
 */
import type { Redis } from "ioredis";
import { QUOTA_NAMES, type QuotaName, type Quotas, quotaExceeded, scopeOf } from "../model/quotas.ts";

/** The hash of all limits that are set: by scope and name, "acme callsPerSecond". */
const QUOTA_SETTINGS = "sp:quotas";
const rateKey = (scope: string): string => `sp:rate:${scope}`;
const deploysKey = (tenant: string): string => `sp:deploys:${tenant}`;
const HOUR_MS = 3_600_000;

/** All limits that are set, by scope. */
export async function allQuotas(redis: Redis): Promise<Map<string, Quotas>> {
  const all = new Map<string, Quotas>();
  for (const [field, value] of Object.entries(await redis.hgetall(QUOTA_SETTINGS))) {
    const [scope = "", name = ""] = field.split(" ");
    // A newer Sandpiper may have set what this one does not know.
    if (!QUOTA_NAMES.includes(name as QuotaName)) continue;
    all.set(scope, { ...all.get(scope), [name]: Number(value) });
  }
  return all;
}

/**
 * Sets limits of a tenant, or of one function of it; null: as nobody had set it. Gateways know
 * within a second.
 */
export async function setQuotas(
  redis: Redis,
  scope: string,
  limits: { readonly [name in QuotaName]?: number | null },
): Promise<void> {
  const changes = redis.multi();
  for (const [name, limit] of Object.entries(limits)) {
    const field = `${scope} ${name}`;
    if (limit === null) changes.hdel(QUOTA_SETTINGS, field);
    else if (limit !== undefined) changes.hset(QUOTA_SETTINGS, field, limit);
  }
  await changes.exec();
}

/**
 * KEYS: bucket. ARGV: calls a second, wanted calls. A bucket of a second's calls, which fills by
 * Redis's clock. Gives how many it had of them, and in how many ms there is the next.
 */
const LEASE = `
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local rate, want = tonumber(ARGV[1]), tonumber(ARGV[2])
local known = redis.call("HMGET", KEYS[1], "tokens", "atMs")
local tokens, at = tonumber(known[1]) or rate, tonumber(known[2]) or now
tokens = math.min(rate, tokens + math.max(0, now - at) * rate / 1000)
local granted = math.min(want, math.floor(tokens))
redis.call("HSET", KEYS[1], "tokens", tostring(tokens - granted), "atMs", now)
redis.call("PEXPIRE", KEYS[1], 2000)
local nextMs = 0
if granted < want then nextMs = math.ceil((1 - (tokens - granted)) * 1000 / rate) end
return { granted, nextMs }`;

/**
 * Leases calls of a limit of calls a second to a gateway, as many as there are of those wanted.
 * @throws what ioredis throws when Redis does not answer
 */
export async function leaseCalls(
  redis: Redis,
  scope: string,
  { perSecond, want }: { perSecond: number; want: number },
): Promise<{ granted: number; nextMs: number }> {
  const answer = (await redis.eval(LEASE, 1, rateKey(scope), perSecond, want)) as [number, number];
  return { granted: answer[0], nextMs: answer[1] };
}

/**
 * KEYS: counter. ARGV: limit, ms. Counts one more unless there are as many; gives how many there
 * are then, and 1 when it was counted.
 */
const COUNT = `
local count = tonumber(redis.call("GET", KEYS[1]) or "0")
if count >= tonumber(ARGV[1]) then return { count, 0 } end
count = redis.call("INCR", KEYS[1])
if count == 1 then redis.call("PEXPIRE", KEYS[1], ARGV[2]) end
return { count, 1 }`;

/**
 * Counts a deployment of a tenant, in hours that begin with the first.
 * @param limit 0: any number
 * @throws SandpiperError DEPLOY_QUOTA
 */
export async function countDeploy(redis: Redis, tenant: string, limit: number): Promise<void> {
  if (limit === 0) return;
  const [used, isCounted] = (await redis.eval(COUNT, 1, deploysKey(tenant), limit, HOUR_MS)) as [number, number];
  if (isCounted === 0) throw quotaExceeded("deploysPerHour", scopeOf(tenant), { limit, used });
}
