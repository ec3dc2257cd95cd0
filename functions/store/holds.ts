/**
 * Holds: a function that one process has for as long as it says so, as `sandpiper dev` does.
 * Whoever holds a name alone deploys to it, and function, versions and `env` expire in Redis when
 * the holder is gone, so that nobody need collect them.
 */
import type { Redis } from "ioredis";
import { SandpiperError } from "../model/errors.ts";
import { type FunctionRef, functionKey, versionsKey } from "./function-keys.ts";

/** Versions of a held function that it has not run for so long are dropped: each save makes one. */
const KEEP_REPLACED_MS = 60_000;

/**
 * KEYS: function, versions. ARGV: holder, time to live. Gives -1 when the name is another's, else
 * whether there is a version already.
 */
const TAKE = `
local holder = redis.call("HGET", KEYS[1], "holder")
if holder ~= ARGV[1] and redis.call("EXISTS", KEYS[1]) == 1 then return -1 end
redis.call("HSET", KEYS[1], "holder", ARGV[1])
redis.call("PEXPIRE", KEYS[1], ARGV[2])
redis.call("PEXPIRE", KEYS[2], ARGV[2])
return redis.call("HEXISTS", KEYS[1], "version")`;

/** Lua: what a change of a function by somebody is refused with; 0 when it is not. */
export const REFUSAL_OF_HOLD = `
local function refusalOfHold(key, given)
  local holder = redis.call("HGET", key, "holder") or ""
  if holder == given then return 0 end
  return given == "" and -2 or -3
end`;

/** Lua: lets versions end with their function, and drops those that it has not run for long. */
export const AGE_VERSIONS = `
local function ageVersions(key, versions)
  local ttlMs = redis.call("PTTL", key)
  if ttlMs < 0 then return end
  redis.call("PEXPIRE", versions, ttlMs)
  local time = redis.call("TIME")
  local before = time[1] * 1000 - ${KEEP_REPLACED_MS}
  for _, field in ipairs(redis.call("HKEYS", versions)) do
    local version = string.match(field, "^(.*):unusedSinceMs$")
    if version and tonumber(redis.call("HGET", versions, field)) < before then
      redis.call("HDEL", versions, version, field, version .. ":noTemplateReason")
    end
  end
end`;

/**
 * Throws for what `refusalOfHold` gave, if it is one.
 * @throws SandpiperError NAME_HELD
 */
export function throwRefusal(answer: unknown, { functionName }: FunctionRef): void {
  if (answer === -3) throw new SandpiperError("NAME_HELD", { message: `The hold on ${functionName} is over.` });
  if (answer !== -2) return;
  const message = `${functionName} is the function of another process, such as \`sandpiper dev\`, until that ends.`;
  throw new SandpiperError("NAME_HELD", { message });
}

/**
 * Takes a name, or goes on holding it. @param holder a name of the process that nobody else has.
 * @returns whether the holder's function has a version.
 * @throws SandpiperError NAME_HELD when the name has a function already that is not the holder's.
 */
export async function takeHold(redis: Redis, ref: FunctionRef, holder: string, ttlMs: number): Promise<boolean> {
  const answer = await redis.eval(TAKE, 2, functionKey(ref), versionsKey(ref), holder, ttlMs);
  if (answer !== -1) return answer === 1;
  throw new SandpiperError("NAME_HELD", { message: `There is a function ${ref.functionName} already.` });
}
