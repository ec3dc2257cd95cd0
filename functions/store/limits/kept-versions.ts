/** Kept versions of tenants and functions, as limits count them, and how old ones make room. */
import type { Redis } from "ioredis";
import type { QuotaFigures } from "../../model/quotas.ts";
import { linkOf } from "../../redis/link.ts";
import { functionsKey } from "../function-keys.ts";
import type { KeptVersion, Registry } from "../registry.ts";
import type { Spender } from "./spending.ts";

type Kept = KeptVersion & { tenant: string; functionName: string };

const REMEDY =
  "Old versions make room once no call can wait for them: deploy again after `retry-after`, or delete aliases or functions.";

/** How many versions there are of a tenant, or of one function of it. */
export async function countVersions(redis: Redis, registry: Registry, scope: Spender): Promise<number> {
  return (await keptOf(redis, registry, scope)).length;
}

/**
 * Makes room for one more version: removes the oldest ones that no alias names, as far as there are
 * too many.
 * @param graceMs how long a call may be under way with a version that no alias names any more
 * @returns null when there is room, else how many there are
 */
export async function makeRoomForVersion(
  redis: Redis,
  registry: Registry,
  scope: Spender,
  { limit, graceMs }: { limit: number; graceMs: number },
): Promise<QuotaFigures | null> {
  if (limit === 0) return null;
  const kept = await keptOf(redis, registry, scope);
  const old = kept.flatMap((one) => (one.unusedSinceMs === null ? [] : [{ ...one, unusedSinceMs: one.unusedSinceMs }]));
  const nowMs = linkOf(redis).clock.nowMs();
  let used = kept.length;
  for (const one of old.sort((a, b) => a.unusedSinceMs - b.unusedSinceMs)) {
    if (used < limit) break;
    const leftMs = one.unusedSinceMs + graceMs - nowMs;
    if (leftMs > 0) return { limit, used, retryAfterSeconds: Math.ceil(leftMs / 1_000), remedy: REMEDY };
    if (await registry.removeVersion(one, one.unusedSinceMs)) used -= 1;
  }
  return used < limit ? null : { limit, used, remedy: REMEDY };
}

async function keptOf(redis: Redis, registry: Registry, { tenant, functionName }: Spender): Promise<Kept[]> {
  const names = functionName === undefined ? await redis.smembers(functionsKey(tenant)) : [functionName];
  const refs = names.map((name) => ({ tenant, functionName: name }));
  const kept = await Promise.all(
    refs.map(async (ref) => (await registry.keptVersions(ref)).map((one) => ({ ...ref, ...one }))),
  );
  return kept.flat();
}
