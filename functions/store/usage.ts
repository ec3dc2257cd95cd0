/**
 * The use that functions made, in a hash for each tenant and hour, which stays when a function is
 * deleted and goes with its tenant. Workers add to it in batches, and each batch counts once,
 * however often it is sent.
 */
import type { Redis } from "ioredis";
import { scopeOf } from "../model/quotas.ts";
import { BODY_BYTES, HOUR_MS, type HourUsage, noUsage, USAGE_COUNTERS, type UsageCounter } from "../model/usage.ts";

/** How long Redis knows which batch of a worker was its last. */
const WRITER_KEPT_MS = 24 * HOUR_MS;
/** Most hours that are read in one message. */
const PAGE_HOURS = 256;

/**
 * A hash; its fields are a function's name, a space, and the counter's name. Without a function's
 * name it is a counter of the tenant.
 */
export const usageKey = (tenant: string, hourMs: number): string => `sp:usage:${tenant}:${hourMs / HOUR_MS}`;
/** The hash of an account of processor time; see limits/spending.ts. */
export const cpuKey = (scope: string): string => `sp:cpu:${scope}`;
/** The number of the last batch that a worker's process has written. */
const writerKey = (writer: string): string => `sp:usagewriter:${writer}`;

/**
 * KEYS: the writer's, then the hash of each amount, then accounts of processor time. ARGV: the
 * batch's number, how many amounts; for each when the hash goes, its field, and how much; then what
 * each account gets, if there is one. A batch that was written before changes nothing.
 */
const ADD = `
if tonumber(redis.call("GET", KEYS[1]) or "0") >= tonumber(ARGV[1]) then return 0 end
redis.call("SET", KEYS[1], ARGV[1], "PX", ${WRITER_KEPT_MS})
local amounts = tonumber(ARGV[2])
for index = 2, amounts + 1 do
  local at = index * 3 - 3
  redis.call("HINCRBY", KEYS[index], ARGV[at + 1], ARGV[at + 2])
  redis.call("PEXPIREAT", KEYS[index], ARGV[at])
end
for index = amounts + 2, #KEYS do
  if redis.call("EXISTS", KEYS[index]) == 1 then
    redis.call("HINCRBY", KEYS[index], "addedUs", ARGV[amounts * 2 + index + 1])
  end
end
return 1`;

/** A batch of usage; the numbers of a writer's batches grow from 1. */
export interface UsageBatch {
  number: number;
  usage: readonly HourUsage[];
}

/**
 * Adds a batch of a worker's to what is kept.
 * @param writer names the worker's process
 * @param keepMs how long it is kept after its hour
 * @throws what ioredis throws when Redis does not answer; then the same batch may be given again
 */
export async function addUsage(redis: Redis, writer: string, batch: UsageBatch, keepMs: number): Promise<void> {
  const keys: string[] = [];
  const args: (string | number)[] = [];
  const add = (tenant: string, hourMs: number, field: string, amount: number) => {
    if (amount === 0) return;
    keys.push(usageKey(tenant, hourMs));
    args.push(hourMs + HOUR_MS + keepMs, field, amount);
  };
  for (const { tenant, functionName, hourMs, counts } of batch.usage) {
    for (const counter of USAGE_COUNTERS)
      add(tenant, hourMs, `${functionName} ${counter}`, Math.round(counts[counter]));
    add(tenant, hourMs, ` ${BODY_BYTES}`, counts.bytesIn + counts.bytesOut);
  }
  const accounts = [...cpuByScope(batch.usage)];
  const all = [writerKey(writer), ...keys, ...accounts.map(([scope]) => cpuKey(scope))];
  await redis.eval(ADD, all.length, ...all, batch.number, keys.length, ...args, ...accounts.map(([, us]) => us));
}

/** Microseconds of processor time of each tenant and function. */
function cpuByScope(usage: readonly HourUsage[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { tenant, functionName, counts } of usage) {
    const cpuUs = Math.round(counts.cpuUs);
    if (cpuUs === 0) continue;
    for (const scope of [tenant, scopeOf(tenant, functionName)]) sums.set(scope, (sums.get(scope) ?? 0) + cpuUs);
  }
  return sums;
}

/**
 * Usage of a tenant's functions by the hour, oldest first.
 * @param hours from the beginning of one hour until before another's, as Unix milliseconds
 */
export async function* readUsage(
  redis: Redis,
  tenant: string,
  { fromMs, toMs }: { fromMs: number; toMs: number },
): AsyncGenerator<HourUsage> {
  for (let pageMs = fromMs; pageMs < toMs; pageMs += PAGE_HOURS * HOUR_MS) {
    const hours: number[] = [];
    for (let hourMs = pageMs; hourMs < Math.min(toMs, pageMs + PAGE_HOURS * HOUR_MS); hourMs += HOUR_MS)
      hours.push(hourMs);
    const pipeline = redis.pipeline();
    for (const hourMs of hours) pipeline.hgetall(usageKey(tenant, hourMs));
    const found = (await pipeline.exec()) ?? [];
    for (const [index, [error, fields]] of found.entries()) {
      if (error) throw error;
      yield* functionsOf(tenant, hours[index] ?? 0, fields as Record<string, string>);
    }
  }
}

/** The fields of one hour, by function. */
function functionsOf(tenant: string, hourMs: number, fields: Record<string, string>): HourUsage[] {
  const found = new Map<string, HourUsage>();
  for (const [field, amount] of Object.entries(fields)) {
    const [functionName = "", counter = ""] = field.split(" ");
    // A newer Sandpiper may count what this one does not know.
    if (!USAGE_COUNTERS.includes(counter as UsageCounter)) continue;
    const of = found.get(functionName) ?? { tenant, functionName, hourMs, counts: noUsage() };
    of.counts[counter as UsageCounter] = Number(amount);
    found.set(functionName, of);
  }
  return [...found.values()].sort((one, other) => (one.functionName < other.functionName ? -1 : 1));
}
