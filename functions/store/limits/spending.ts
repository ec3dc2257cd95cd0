/**
 * Processor time and bytes that tenants and functions spend, as their limits count them. Workers
 * add to both with their usage (store/usage.ts), gateways read them.
 *
 * Processor time is an account that exists while a gateway asks for it: what is spent is added, and
 * as much as a minute's limit is taken off in a minute. So whoever spends more at once, as calls
 * count when they end, waits until it is paid back. Bytes are those of the current hour and of the
 * 23 before it.
 */
import type { Redis } from "ioredis";
import { scopeOf } from "../../model/quotas.ts";
import { BODY_BYTES, HOUR_MS, hourOf } from "../../model/usage.ts";
import { cpuKey, usageKey } from "../usage.ts";

/** Whose it is: a tenant's, or one function's. */
export interface Spender {
  tenant: string;
  functionName?: string | undefined;
}

const DAY_HOURS = 24;
/** An account that nobody asked for in this time is closed, unless something is to be paid back. */
const KEEP_MS = 300_000;

/** KEYS: account. ARGV: microseconds a minute, ms to keep it. Gives microseconds that are spent. */
const SETTLE = `
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call("HMGET", KEYS[1], "spentUs", "atMs", "addedUs")
local perMs = tonumber(ARGV[1]) / 60000
local spent = math.max(0, (tonumber(known[1]) or 0) - math.max(0, now - (tonumber(known[2]) or now)) * perMs)
spent = spent + (tonumber(known[3]) or 0)
redis.call("HSET", KEYS[1], "spentUs", tostring(spent), "atMs", now, "addedUs", 0)
redis.call("PEXPIRE", KEYS[1], math.ceil(tonumber(ARGV[2]) + spent / perMs))
return tostring(spent)`;

/**
 * Processor time that is spent and not paid back, in seconds. Counted from the first question on.
 * @param perMinute the limit, in seconds; more than 0
 * @throws what ioredis throws when Redis does not answer
 */
export async function cpuSecondsSpent(redis: Redis, { tenant, functionName }: Spender, perMinute: number) {
  const key = cpuKey(scopeOf(tenant, functionName));
  return Number(await redis.eval(SETTLE, 1, key, perMinute * 1e6, KEEP_MS)) / 1e6;
}

/**
 * Bytes of bodies by the hour, of the last 24, oldest first.
 * @param nowMs by Redis's clock
 * @throws what ioredis throws when Redis does not answer
 */
export async function bodyBytesByHour(redis: Redis, spender: Spender, nowMs: number): Promise<number[]> {
  const { tenant, functionName } = spender;
  const fields =
    functionName === undefined ? [` ${BODY_BYTES}`] : [`${functionName} bytesIn`, `${functionName} bytesOut`];
  const pipeline = redis.pipeline();
  const firstMs = hourOf(nowMs) - (DAY_HOURS - 1) * HOUR_MS;
  for (let hour = 0; hour < DAY_HOURS; hour++) pipeline.hmget(usageKey(tenant, firstMs + hour * HOUR_MS), ...fields);
  return ((await pipeline.exec()) ?? []).map(([error, amounts]) => {
    if (error) throw error;
    return (amounts as (string | null)[]).reduce((sum, amount) => sum + Number(amount ?? 0), 0);
  });
}
