/**
 * Words of gateways to each other while they have many calls in course: how many of each tenant. So
 * the slots of all workers are shared by tenants and not by gateways. A gateway with few calls says
 * nothing, and what it said is over after two seconds.
 */
import type { Redis } from "ioredis";
import { Holdings } from "../../infra/std/fair-share.ts";

const SLOTS = "sp:slots";
/** How long a gateway's word counts. */
const KEEP_MS = 2_000;

/**
 * KEYS: gateways. ARGV: own id, what is told or nothing, ms that a word counts. Gives what the
 * others told. Redis's own clock says when.
 */
const TELL = `
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[2] == "" then redis.call("HDEL", KEYS[1], ARGV[1]) else redis.call("HSET", KEYS[1], ARGV[1], now .. " " .. ARGV[2]) end
local all, told = redis.call("HGETALL", KEYS[1]), {}
for at = 1, #all, 2 do
  local when = tonumber(string.match(all[at + 1], "^%d+"))
  if now - when > tonumber(ARGV[3]) then redis.call("HDEL", KEYS[1], all[at])
  elseif all[at] ~= ARGV[1] then told[#told + 1] = string.match(all[at + 1], " (.*)$") end
end
return told`;

/** Calls in course at other gateways. */
export interface Elsewhere {
  /** How many gateways have many. */
  gateways: number;
  /** By tenant. */
  calls: Holdings;
  /** By "tenant/function", of functions with a limit: calls, and how many gateways have some. */
  functions: Map<string, { calls: number; gateways: number }>;
}

/**
 * Tells how many calls of each tenant are in course at a gateway, and asks the same of the others.
 * @param own null: few, of which nobody need know
 * @param functions calls of functions with a limit, by "tenant/function"; null: none
 * @throws what ioredis throws when Redis does not answer
 */
export async function exchangeSlots(
  redis: Redis,
  gatewayId: string,
  own: Holdings | null,
  functions: Holdings | null = null,
): Promise<Elsewhere> {
  const counts = Object.fromEntries([...(own?.entries() ?? []), ...(functions?.entries() ?? [])]);
  const word = own === null && functions === null ? "" : JSON.stringify(counts);
  const told = (await redis.eval(TELL, 1, SLOTS, gatewayId, word, KEEP_MS)) as string[];
  const elsewhere: Elsewhere = { gateways: told.length, calls: new Holdings(), functions: new Map() };
  for (const text of told) {
    for (const [name, count] of Object.entries(JSON.parse(text) as Record<string, number>)) {
      if (!name.includes("/")) elsewhere.calls.add(name, count);
      else {
        const { calls, gateways } = elsewhere.functions.get(name) ?? { calls: 0, gateways: 0 };
        elsewhere.functions.set(name, { calls: calls + count, gateways: gateways + 1 });
      }
    }
  }
  return elsewhere;
}
