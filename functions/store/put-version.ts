/** Keeps a version, and beside it what is read more often than all of it. */
import type { Redis } from "ioredis";
import type { Version } from "../model/version.ts";
import { NAMED_VERSIONS, NOTE_UNUSED } from "./aliases.ts";
import { routesField } from "./domains/live-routes.ts";
import { functionKey, versionsKey } from "./function-keys.ts";

/**
 * KEYS: function, versions. ARGV: version, its text, field and text of its routes, if it has some.
 * Gives since when it is unused, if it is.
 */
const PUT = `${NOTE_UNUSED}${NAMED_VERSIONS}
redis.call("HSET", KEYS[2], unpack(ARGV))
if not namedVersions(KEYS[1])[ARGV[1]] then return noteUnused(KEYS[2], ARGV[1]) end`;

/**
 * Keeps a version.
 * @returns since when it is unused, in milliseconds of Redis's clock: now; null when its function
 * runs it
 */
export async function putVersion(redis: Redis, version: Version): Promise<number | null> {
  const { routes = [] } = version.config;
  const beside = routes.length === 0 ? [] : [routesField(version.version), JSON.stringify(routes)];
  const words = [version.version, JSON.stringify(version), ...beside];
  const since = (await redis.eval(PUT, 2, functionKey(version), versionsKey(version), ...words)) as string | null;
  return since === null ? null : Number(since);
}
