/** The last step of a restore: everything becomes what it is to be in one moment. */
import type { Redis } from "ioredis";
import { scanPages } from "../../redis/scan.ts";
import { MASTER_CANARIES } from "../data-keys.ts";
import { GRANT_CHANGES } from "../egress-grants.ts";
import { FORM } from "../form/data-form.ts";
import { REGISTRY_CHANGES, SECRET_CHANGES } from "../function-keys.ts";
import { LOCK } from "../gc-lock.ts";
import { matcherOf } from "../key-table.ts";
import { keyOf } from "../tenant.ts";
import { STOP_CHANGES } from "../tenant-states.ts";
import { PARTS, PARTS_BY_NAME, type Part } from "./parts.ts";
import { replacedNames, type Staging, stagedNames, stagedPrefix } from "./staging.ts";
import type { Standing } from "./standing.ts";

const PAGE = 1_000;
const REPLACED_MS = 3_600_000;
const REVISIONS = (PARTS_BY_NAME.get("revisions") as Part).pattern;

const SECRET_SCOPES = "sp:secretscopes:<tenant>";
/** Keys that follow from what is restored, and go with what it replaces. */
const FOLLOWING = ["sp:functions:<tenant>", SECRET_SCOPES, "sp:canaries"];
/** Parts that stay where the file has none: the acts of operators, and a counter. */
const STAYING = ["operator-audit", "revisions"];

export interface Replacing {
  staging: Staging;
  standing: Standing;
  withoutSecrets: boolean;
  /** Tenants of the file. */
  tenants: readonly string[];
}

/**
 * Lists the keys that go, in Redis.
 * @returns how many moves of aliases there were before; when there are more, the list is old
 */
export async function listReplaced(redis: Redis, restore: string, replacing: Replacing): Promise<string> {
  const revision = (await redis.get(REVISIONS)) ?? "0";
  const list = replacedNames(restore);
  await redis.del(list);
  for await (const keys of scanPages(redis, "sp:*")) {
    const going = keys.filter((key) => !replacing.staging.names.has(key) && goes(key, replacing));
    if (going.length > 0) await redis.rpush(list, ...going);
  }
  await redis.pexpire(list, REPLACED_MS);
  return revision;
}

const MATCHERS = PARTS.map((part) => ({ part, matcher: matcherOf(part.pattern) }));
const FOLLOWERS = FOLLOWING.map((pattern) => ({ pattern, matcher: matcherOf(pattern) }));

function goes(key: string, { standing, withoutSecrets, tenants }: Replacing): boolean {
  const [, , tenant = ""] = key.split(":");
  const stays = tenants.includes(tenant);
  const part = MATCHERS.find(({ matcher }) => matcher.test(key))?.part;
  if (part === undefined) {
    const following = FOLLOWERS.find(({ matcher }) => matcher.test(key))?.pattern;
    return following !== undefined && !(following === SECRET_SCOPES && withoutSecrets && stays);
  }
  if (STAYING.includes(part.part)) return false;
  if (part.part === "key") return !standing.isOperatorKey(key.slice(keyOf("").length));
  // One of all tenants has no tenant's name.
  if (part.isSecret && withoutSecrets) return !stays && tenant !== "";
  return part.part !== "usage" || !stays;
}

/**
 * KEYS: lock, revisions, staged names, replaced names, form, canaries of master keys. ARGV: the
 * lock's token, revision, prefix, form, channels of functions, secrets, tenants, grants; canaries.
 * Gives 0 when something was moved since the list was made, -1 when the lock was lost.
 */
const COMMIT = `
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return -1 end
if (redis.call("GET", KEYS[2]) or "0") ~= ARGV[2] then return 0 end
local function each(list, work)
  for from = 0, redis.call("LLEN", list) - 1, ${PAGE} do
    for _, item in ipairs(redis.call("LRANGE", list, from, from + ${PAGE} - 1)) do work(item) end
  end
end
local function announce(key)
  local kind, rest = string.match(key, "^sp:(%a+):(.*)$")
  if kind == "function" then redis.call("PUBLISH", ARGV[5], (string.gsub(rest, ":", "/"))) end
  if kind == "secrets" then
    redis.call("PUBLISH", ARGV[6], string.find(rest, ":", 1, true) and (string.gsub(rest, ":", "/")) or rest .. "/")
  end
end
local function appendLater(staged, name)
  local last = redis.call("XREVRANGE", staged, "+", "-", "COUNT", 1)[1]
  local entries = redis.call("XRANGE", name, "(" .. last[1], "+")
  for _, entry in ipairs(entries) do redis.call("XADD", staged, entry[1], unpack(entry[2])) end
end
each(KEYS[4], function(key)
  if redis.call("UNLINK", key) == 1 then announce(key) end
end)
each(KEYS[3], function(item)
  local name, goesAtMs = string.match(item, "^(%S+) (%d+)$")
  local staged = ARGV[3] .. name
  local kind = redis.call("TYPE", staged).ok
  if kind == "none" then return end
  if kind == "stream" and redis.call("EXISTS", name) == 1 then appendLater(staged, name) end
  redis.call("RENAME", staged, name)
  if goesAtMs == "0" then redis.call("PERSIST", name) else redis.call("PEXPIREAT", name, goesAtMs) end
  announce(name)
end)
redis.call("SET", KEYS[5], ARGV[4])
if #ARGV > 8 then redis.call("HSET", KEYS[6], unpack(ARGV, 9)) end
for _, tenant in ipairs(redis.call("HKEYS", "sp:tenants")) do
  redis.call("PUBLISH", ARGV[7], tenant)
  redis.call("PUBLISH", ARGV[8], tenant)
end
redis.call("UNLINK", KEYS[3], KEYS[4])
return 1`;

export interface Commit {
  restore: string;
  /** Of the lock that is held. */
  token: string;
  revision: string;
  /** The form of the data of the file. */
  form: number;
  /** Canaries of the master keys that are needed now, field and value in turn. */
  canaries: readonly string[];
}

/**
 * @returns false when something was deployed since the list of what goes was made
 * @throws Error when the lock was lost: nothing is restored
 */
export async function commitRestore(redis: Redis, commit: Commit): Promise<boolean> {
  const { restore, token, revision, form, canaries } = commit;
  const keys = [LOCK, REVISIONS, stagedNames(restore), replacedNames(restore), FORM, MASTER_CANARIES];
  const channels = [REGISTRY_CHANGES, SECRET_CHANGES, STOP_CHANGES, GRANT_CHANGES];
  const words = [token, revision, stagedPrefix(restore), form, ...channels, ...canaries];
  const answer = await redis.eval(COMMIT, keys.length, ...keys, ...words);
  if (answer === -1) throw new Error("The lock of the restore was lost: this process stood still for a minute.");
  return answer === 1;
}
