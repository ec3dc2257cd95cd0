/**
 * The use that functions made, in a hash for each tenant and hour, which stays when a function is
 * deleted and goes with its tenant. Workers add to it in batches, and each batch counts once,
 * however often it is sent.
 */
import type { Redis } from "ioredis";
import { HOUR_MS, type HourUsage, noUsage, USAGE_COUNTERS, type UsageCounter } from "../model/usage.ts";

/** How long Redis knows which batch of a worker was its last. */
const WRITER_KEPT_MS = 24 * HOUR_MS;
/** Most hours that are read in one message. */
const PAGE_HOURS = 256;

/** A hash; its fields are a function's name, a space, and the counter's name. */
const usageKey = (tenant: string, hourMs: number): string => `sp:usage:${tenant}:${hourMs / HOUR_MS}`;
/** The number of the last batch that a worker's process has written. */
const writerKey = (writer: string): string => `sp:usagewriter:${writer}`;

/**
 * KEYS: the writer's, then the hash of each amount. ARGV: the batch's number; for each amount when
 * the hash goes, its field, and how much. A batch that was written before changes nothing.
 */
const ADD = `
if tonumber(redis.call("GET", KEYS[1]) or "0") >= tonumber(ARGV[1]) then return 0 end
redis.call("SET", KEYS[1], ARGV[1], "PX", ${WRITER_KEPT_MS})
for index = 2, #KEYS do
  local at = index * 3 - 4
  redis.call("HINCRBY", KEYS[index], ARGV[at + 1], ARGV[at + 2])
  redis.call("PEXPIREAT", KEYS[index], ARGV[at])
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
  const keys = [writerKey(writer)];
  const args: (string | number)[] = [batch.number];
  for (const { tenant, functionName, hourMs, counts } of batch.usage) {
    for (const counter of USAGE_COUNTERS) {
      const amount = Math.round(counts[counter]);
      if (amount === 0) continue;
      keys.push(usageKey(tenant, hourMs));
      args.push(hourMs + HOUR_MS + keepMs, `${functionName} ${counter}`, amount);
    }
  }
  await redis.eval(ADD, keys.length, ...keys, ...args);
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
