/** The grants of operators for each tenant, in Redis. */
import type { Redis } from "ioredis";
import { type EgressGrants, NO_GRANTS } from "../model/egress-grants.ts";
import { SandpiperError } from "../model/errors.ts";

/** The hash of all grants: a field for each tenant that has some. */
const GRANTS = "sp:egress:grants";

/** Where a change of a tenant's grants is told; the message is the tenant. */
export const GRANT_CHANGES = "sp:egress:changes";

/** Attempts at a change that others make at the same time. */
const MOST_ATTEMPTS = 20;

/**
 * KEYS: grants. ARGV: tenant, text before or nothing, text after or nothing, changes channel. Gives
 * 0 when the grants have changed meanwhile.
 */
const CHANGE = `
if (redis.call("HGET", KEYS[1], ARGV[1]) or "") ~= ARGV[2] then return 0 end
if ARGV[3] == "" then redis.call("HDEL", KEYS[1], ARGV[1]) else redis.call("HSET", KEYS[1], ARGV[1], ARGV[3]) end
redis.call("PUBLISH", ARGV[4], ARGV[1])
return 1`;

/** A tenant's grants. */
export async function grantsOf(redis: Redis, tenant: string): Promise<EgressGrants> {
  const text = await redis.hget(GRANTS, tenant);
  return text === null ? NO_GRANTS : (JSON.parse(text) as EgressGrants);
}

/** The tenants that have grants of their own, by name. */
export async function allGrants(redis: Redis): Promise<[tenant: string, grants: EgressGrants][]> {
  const all = Object.entries(await redis.hgetall(GRANTS));
  return all
    .map(([tenant, text]): [string, EgressGrants] => [tenant, JSON.parse(text) as EgressGrants])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/**
 * Changes a tenant's grants, of which gateways and workers are told.
 * @param change gives the grants after it, or null for those of a tenant without any. May be called
 * several times.
 * @throws what `change` throws; SandpiperError INTERNAL when others change them all the time
 */
export async function changeGrants(
  redis: Redis,
  tenant: string,
  change: (before: EgressGrants) => EgressGrants | null,
): Promise<EgressGrants> {
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const text = await redis.hget(GRANTS, tenant);
    const after = change(text === null ? NO_GRANTS : (JSON.parse(text) as EgressGrants));
    const words = [tenant, text ?? "", after === null ? "" : JSON.stringify(after), GRANT_CHANGES];
    if ((await redis.eval(CHANGE, 1, GRANTS, ...words)) === 1) return after ?? NO_GRANTS;
  }
  throw new SandpiperError("INTERNAL");
}
