/** Seals what versions of an older Sandpiper have in clear. */
import type { Redis } from "ioredis";
import type { Registry } from "./registry.ts";
import type { SecretStore } from "./secrets.ts";

/**
 * Seals the environments of all versions that have theirs in clear. Other processes may deploy and
 * do the same meanwhile. Has Redis write its append-only file anew when there were some, as the old
 * one has them still.
 * @returns how many versions.
 */
export async function sealClearVersions(redis: Redis, registry: Registry, secrets: SecretStore): Promise<number> {
  let count = 0;
  for await (const ref of registry.functionsWithVersions()) {
    count += await registry.sealVersions(ref, (version) => secrets.sealEnv(version, version.config.env));
  }
  // A hosted Redis may not allow it, and one that is at it already says so.
  if (count > 0) await redis.bgrewriteaof().catch(() => {});
  return count;
}
