/** The routes of a tenant's functions by what is live. They lie beside versions, in fields. */
import type { Redis } from "ioredis";
import { functionKey, functionsKey, versionsKey } from "../function-keys.ts";

/** In the hash of a function's versions the field of a version's routes, when it has some. */
export const routesField = (version: string): string => `${version}:routes`;

/** KEYS: functions. ARGV: beginnings of the keys of functions and of versions. Names and routes. */
const ROUTES = `
local found = {}
for _, name in ipairs(redis.call("SMEMBERS", KEYS[1])) do
  local version = redis.call("HGET", ARGV[1] .. name, "version")
  local routes = version and redis.call("HGET", ARGV[2] .. name, version .. ":routes")
  if routes then
    found[#found + 1] = name
    found[#found + 1] = routes
  end
end
return found`;

/** The routes of those functions of a tenant that have some. */
export async function readLiveRoutes(redis: Redis, tenant: string): Promise<Record<string, string[]>> {
  const prefixes = [functionKey({ tenant, functionName: "" }), versionsKey({ tenant, functionName: "" })];
  const found = (await redis.eval(ROUTES, 1, functionsKey(tenant), ...prefixes)) as string[];
  const routes: Record<string, string[]> = {};
  for (let at = 0; at < found.length; at += 2) routes[found[at] ?? ""] = JSON.parse(found[at + 1] ?? "[]");
  return routes;
}
