/**
 * The functions that have something kept for them, in one hash that all workers read: the registry
 * is by functions, and nobody could look at all of them each second. The scripts that move `live`
 * and delete functions keep it true.
 */
import type { Redis } from "ioredis";
import type { Provision, ProvisionedVersion } from "../../model/provisions/provision.ts";

/** The hash, by "tenant/function": what its live versions wish for. */
export const PROVISIONS = "sp:provisions";
/** Where it is said that one changed; the message is "tenant/function". */
export const PROVISION_CHANGES = "sp:provisions:changes";

/**
 * Lua: notes what the versions of a target wish for. A target that is empty, or of a function that
 * a process holds, as `sandpiper dev` does, has nothing kept.
 */
export const NOTE_PROVISION = `
local function wishOf(versions, route)
  local text = redis.call("HGET", versions, route.version)
  if not text or not (string.find(text, '"minInstances"', 1, true) or string.find(text, '"reserved"', 1, true)) then return end
  local config = cjson.decode(text).config
  local wish = { version = route.version, percent = route.percent, memoryMiB = config.memoryMiB }
  if config.minInstances ~= 0 then wish.minInstances = config.minInstances end
  wish.reserved = config.concurrency and config.concurrency.reserved
  if wish.minInstances or wish.reserved then return wish end
end
local function noteProvision(provisions, versions, name, target)
  local wishes = {}
  for _, route in ipairs(target == "" and {} or cjson.decode(target).routes) do
    wishes[#wishes + 1] = wishOf(versions, route)
  end
  local existed = redis.call("HEXISTS", provisions, name) == 1
  if #wishes > 0 then redis.call("HSET", provisions, name, cjson.encode(wishes))
  elseif existed then redis.call("HDEL", provisions, name) end
  if existed or #wishes > 0 then redis.call("PUBLISH", "${PROVISION_CHANGES}", name) end
end`;

/** All of them. */
export async function readProvisions(redis: Redis): Promise<Provision[]> {
  const stored = await redis.hgetall(PROVISIONS);
  return Object.entries(stored).map(([name, text]) => {
    const [tenant = "", functionName = ""] = name.split("/");
    return { tenant, functionName, versions: JSON.parse(text) as ProvisionedVersion[] };
  });
}
