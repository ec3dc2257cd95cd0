/**
 * Watched canaries in Redis: what gateways counted is a field of the function's hash, beside its
 * alias, so that both go together. A sorted set lists all watches by when to look at them next.
 */
import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import type { AliasTarget } from "../model/alias.ts";
import type { WatchCounts } from "../model/canary.ts";
import { type FunctionRef, functionKey } from "./function-keys.ts";

/** "tenant/function/alias" by the Unix time, in milliseconds, at which to look at it. */
export const CANARIES = "sp:canaries";

/** A decision that a gateway did not carry out is another's after that time. */
const LOOK_AGAIN_MS = 5_000;
/** Most watches that a gateway looks at in one go. */
const MOST_DUE = 100;

const NOW = `
local function nowMs()
  local time = redis.call("TIME")
  return time[1] * 1000 + math.floor(time[2] / 1000)
end`;

/**
 * Lua: begins the watch of an alias that was moved, if its target wants one, and ends the one of
 * before. The watch has the revision of the move that began it, and the key by which clients are
 * dealt into cells.
 */
export const FOLLOW_CANARY = `${NOW}
local function followCanary(key, canaries, name, alias, target, revision, cellKey)
  local auto = target ~= "" and cjson.decode(target).auto
  local member = name .. "/" .. alias
  if not auto then
    redis.call("HDEL", key, "watch:" .. alias)
    redis.call("ZREM", canaries, member)
    return
  end
  local watch = { revision = revision, cellKey = cellKey, startedAtMs = nowMs(), base = {}, canary = {} }
  redis.call("HSET", key, "watch:" .. alias, cjson.encode(watch))
  redis.call("ZADD", canaries, watch.startedAtMs + auto.windowMs, member)
end`;

/** Lua: ends all watches of a function, named "tenant/function", that is about to be deleted. */
export const FORGET_CANARIES = `
local function forgetCanaries(key, name)
  for _, field in ipairs(redis.call("HKEYS", key)) do
    local alias = string.match(field, "^watch:(.*)$")
    if alias then redis.call("ZREM", "${CANARIES}", name .. "/" .. alias) end
  end
end`;

/**
 * KEYS: function, canaries. ARGV: name of the watch, alias, revision that was counted for, counts
 * or nothing, a key of cells for a watch that has none. Gives the alias, its watch and the time;
 * nothing when there is no such watch now.
 */
const COUNT = `${NOW}
local field = "watch:" .. ARGV[2]
local target = redis.call("HGET", KEYS[1], "alias:" .. ARGV[2])
local stored = redis.call("HGET", KEYS[1], field)
local watch = stored and cjson.decode(stored)
if not target or not watch or redis.call("HGET", KEYS[1], "revision:" .. ARGV[2]) ~= watch.revision then
  redis.call("HDEL", KEYS[1], field)
  redis.call("ZREM", KEYS[2], ARGV[1])
  return nil
end
if not watch.cellKey then
  watch.cellKey, watch.base, watch.canary = ARGV[5], {}, {}
  stored = cjson.encode(watch)
  redis.call("HSET", KEYS[1], field, stored)
elseif ARGV[4] ~= "" and ARGV[3] == watch.revision then
  for side, cells in pairs(cjson.decode(ARGV[4])) do
    for cell, counts in pairs(cells) do
      local sum = watch[side][cell] or { calls = 0, errors = 0, times = {} }
      sum.calls = sum.calls + counts.calls
      sum.errors = sum.errors + counts.errors
      for bucket, count in pairs(counts.times) do sum.times[bucket] = (sum.times[bucket] or 0) + count end
      watch[side][cell] = sum
    end
  end
  stored = cjson.encode(watch)
  redis.call("HSET", KEYS[1], field, stored)
end
local now = nowMs()
local due = redis.call("ZSCORE", KEYS[2], ARGV[1])
if due and tonumber(due) <= now then redis.call("ZADD", KEYS[2], now + ${LOOK_AGAIN_MS}, ARGV[1]) end
return { target, stored, now }`;

/** KEYS: canaries. Gives the names of watches whose time has come. */
const DUE = `${NOW}
return redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", nowMs(), "LIMIT", 0, ${MOST_DUE})`;

/** Names the watch of one alias. */
export interface WatchRef extends FunctionRef {
  alias: string;
}

/** A watch as it is now. */
export interface WatchState extends WatchCounts {
  target: AliasTarget;
  /** The revision of the alias that is watched. */
  revision: string;
  /** Time since the watch began, by Redis's clock. */
  afterMs: number;
}

/** A key by which clients are dealt into cells. */
export function newCellKey(): string {
  return randomBytes(16).toString("hex");
}

/** A watch that begins, of a restored alias. */
export function newWatch(revision: string, startedAtMs: number): string {
  return JSON.stringify({ revision, cellKey: newCellKey(), startedAtMs, base: {}, canary: {} });
}

/** The key of the watch of an alias in a function's hash; null when nobody watches it. */
export function cellKeyOf(stored: Readonly<Record<string, string>>, alias: string): string | null {
  const text = stored[`watch:${alias}`];
  return text === undefined ? null : ((JSON.parse(text) as { cellKey?: string }).cellKey ?? null);
}

/** Watches whose window is over and that nobody looked at in the last seconds. */
export async function dueCanaries(redis: Redis): Promise<WatchRef[]> {
  const names = (await redis.eval(DUE, 1, CANARIES)) as string[];
  return names.map((name) => {
    const [tenant = "", functionName = "", alias = ""] = name.split("/");
    return { tenant, functionName, alias };
  });
}

/** Removes all names of a tenant's watches. */
export async function forgetCanariesOf(redis: Redis, tenant: string): Promise<void> {
  const names = await redis.zrange(CANARIES, "0", "-1");
  const own = names.filter((name) => name.startsWith(`${tenant}/`));
  if (own.length > 0) await redis.zrem(CANARIES, ...own);
}

/**
 * Adds calls to a watch, unless it is not that of the revision any more.
 * @param counted what one gateway counted since it did this last; null only looks.
 * @returns the watch as it is now; null when it is over.
 */
export async function countCanary(
  redis: Redis,
  { tenant, functionName, alias }: WatchRef,
  counted: { revision: string; counts: WatchCounts } | null,
): Promise<WatchState | null> {
  const { revision = "", counts = null } = counted ?? {};
  const name = `${tenant}/${functionName}/${alias}`;
  const keys = [functionKey({ tenant, functionName }), CANARIES] as const;
  const words = [name, alias, revision, counts === null ? "" : JSON.stringify(counts), newCellKey()];
  const answer = (await redis.eval(COUNT, 2, ...keys, ...words)) as [string, string, number] | null;
  if (answer === null) return null;
  const [target, stored, nowMs] = answer;
  const watch = JSON.parse(stored) as WatchCounts & { revision: string; startedAtMs: number };
  const { revision: watched, startedAtMs, base, canary } = watch;
  return { revision: watched, base, canary, target: JSON.parse(target) as AliasTarget, afterMs: nowMs - startedAtMs };
}
