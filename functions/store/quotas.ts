/**
 * Quotas and weights that operators set, and what is counted of quotas for all gateways together:
 * leases of calls, and deployments.
 */
import type { Redis } from "ioredis";
import { QUOTA_NAMES, type QuotaFigures, type QuotaName, type Quotas } from "../model/quotas.ts";
import { USUAL_WEIGHT } from "../model/tenants.ts";

/**
 * The hash of all limits and weights that are set: by scope and name, "acme callsPerSecond",
 * "acme weight".
 */
const QUOTA_SETTINGS = "sp:quotas";
/** Where it is said that one of them changed; the message is the tenant. */
export const SETTING_CHANGES = "sp:quotas:changes";
const WEIGHT = "weight";
const rateKey = (scope: string): string => `sp:rate:${scope}`;
const deploysKey = (tenant: string): string => `sp:deploys:${tenant}`;
const HOUR_MS = 3_600_000;

/** All that operators set: limits by scope, and weights by tenant. */
export interface Settings {
  quotas: ReadonlyMap<string, Quotas>;
  weights: ReadonlyMap<string, number>;
}

/** All limits and weights that are set. */
export async function allSettings(redis: Redis): Promise<Settings> {
  const quotas = new Map<string, Quotas>();
  const weights = new Map<string, number>();
  for (const [field, value] of Object.entries(await redis.hgetall(QUOTA_SETTINGS))) {
    const [scope = "", name = ""] = field.split(" ");
    if (name === WEIGHT) weights.set(scope, Number(value));
    // A newer Sandpiper may have set what this one does not know.
    if (!QUOTA_NAMES.includes(name as QuotaName)) continue;
    quotas.set(scope, { ...quotas.get(scope), [name]: Number(value) });
  }
  return { quotas, weights };
}

/** Sets a tenant's weight. Gateways and workers are told. */
export async function setWeight(redis: Redis, tenant: string, weight: number): Promise<void> {
  const [changes, field] = [redis.multi(), `${tenant} ${WEIGHT}`];
  if (weight === USUAL_WEIGHT) changes.hdel(QUOTA_SETTINGS, field);
  else changes.hset(QUOTA_SETTINGS, field, weight);
  await changes.publish(SETTING_CHANGES, tenant).exec();
}

/** The weight of a tenant. */
export async function weightOf(redis: Redis, tenant: string): Promise<number> {
  return Number((await redis.hget(QUOTA_SETTINGS, `${tenant} ${WEIGHT}`)) ?? USUAL_WEIGHT);
}

/**
 * Sets limits of a tenant, or of one function of it; null: as nobody had set it. Gateways and
 * workers are told.
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
  await changes.publish(SETTING_CHANGES, scope).exec();
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
 * @returns null, or how many there were when there are as many as may be
 */
export async function countDeploy(redis: Redis, tenant: string, limit: number): Promise<QuotaFigures | null> {
  if (limit === 0) return null;
  const [used, isCounted] = (await redis.eval(COUNT, 1, deploysKey(tenant), limit, HOUR_MS)) as [number, number];
  return isCounted === 0 ? { limit, used } : null;
}

/** How many deployments of a tenant were counted in this hour. */
export async function deploysCounted(redis: Redis, tenant: string): Promise<number> {
  return Number((await redis.get(deploysKey(tenant))) ?? 0);
}
