/**
 * Domains in Redis. Each tenant has a hash of its claims, and several tenants may claim one domain.
 * A hash of all tenants has the domains that are proven, each for one tenant: gateways know these
 * alone. Scripts change both, so that of two proofs one counts.
 */
import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import type { DomainTarget } from "../../model/domain-target.ts";
import type { Proof } from "../../model/domains.ts";
import { SandpiperError } from "../../model/errors.ts";

/** The hash of proven domains. */
export const PROVEN = "sp:domains";
/** Counts the changes of that hash. */
export const REVISION = "sp:domains:revision";
/** Where a change of it is told; the message is the domain. */
export const DOMAIN_CHANGES = "sp:domains:changes";
/** The hash of the domains that a tenant claims. */
const claimsKey = (tenant: string): string => `sp:domainclaims:${tenant}`;

/** The token is found in the DNS by anybody, and must not be guessed before: 160 bits. */
const TOKEN_BYTES = 20;
const SCAN_COUNT = 1_000;

/** A domain of a tenant; times in Unix milliseconds. */
export interface Domain extends DomainTarget {
  name: string;
  /** The text of its TXT record. */
  token: string;
  createdAtMs: number;
  /** null: it does not answer yet. */
  proven: { atMs: number; by: Proof } | null;
}

/** A proven domain, as gateways have it. */
export interface BoundDomain extends DomainTarget {
  tenant: string;
}

interface StoredClaim {
  functionName: string;
  alias?: string;
  token: string;
  createdAtMs: number;
}

interface StoredBound {
  tenant: string;
  functionName: string;
  alias?: string;
  provenAtMs: number;
  by: Proof;
}

/** Names of the functions that a key is for; null: all. */
type Seen = readonly string[] | null;

const SEES = `
local function sees(list, name)
  local names = cjson.decode(list)
  if names == cjson.null then return true end
  for _, one in ipairs(names) do if one == name then return true end end
  return false
end`;

/** The proven domain, if it is the tenant's, and how its change is told. */
const BOUND = `
local function boundOf(tenant)
  local text = redis.call("HGET", KEYS[1], ARGV[1])
  local bound = text and cjson.decode(text)
  return bound, bound and bound.tenant == tenant
end
local function tell(channel)
  redis.call("INCR", KEYS[2])
  redis.call("PUBLISH", channel, ARGV[1])
end`;

/**
 * KEYS: proven, revision, claims. ARGV: domain, tenant, channel, functions of the key, claim, most
 * claims. Gives 1 for a new claim and 0 for one that was there; -1: too many, -2: it is for a
 * function that the key does not see.
 */
const CLAIM = `${SEES}${BOUND}
local claim = cjson.decode(ARGV[5])
local before = redis.call("HGET", KEYS[3], ARGV[1])
if before then
  local old = cjson.decode(before)
  if not sees(ARGV[4], old.functionName) then return -2 end
  claim.token, claim.createdAtMs = old.token, old.createdAtMs
elseif redis.call("HLEN", KEYS[3]) >= tonumber(ARGV[6]) then
  return -1
end
redis.call("HSET", KEYS[3], ARGV[1], cjson.encode(claim))
local bound, isOwn = boundOf(ARGV[2])
if isOwn then
  bound.functionName, bound.alias = claim.functionName, claim.alias
  redis.call("HSET", KEYS[1], ARGV[1], cjson.encode(bound))
  tell(ARGV[3])
end
return before and 0 or 1`;

/**
 * KEYS: proven, revision, claims. ARGV: domain, tenant, channel, token, proof, whether to take it
 * from another, now. Gives -1 when the claim is gone or another one, -2 when another tenant has
 * proven the domain.
 */
const PROVE = `${BOUND}
local text = redis.call("HGET", KEYS[3], ARGV[1])
local claim = text and cjson.decode(text)
if not claim or claim.token ~= ARGV[4] then return -1 end
local bound, isOwn = boundOf(ARGV[2])
if isOwn then return 0 end
if bound and ARGV[6] ~= "1" then return -2 end
redis.call("HSET", KEYS[1], ARGV[1], cjson.encode({
  tenant = ARGV[2], functionName = claim.functionName, alias = claim.alias,
  provenAtMs = tonumber(ARGV[7]), by = ARGV[5],
}))
tell(ARGV[3])
return 0`;

/** KEYS: proven, revision, claims. ARGV: domain, tenant, channel, functions of the key. */
const REMOVE = `${SEES}${BOUND}
local text = redis.call("HGET", KEYS[3], ARGV[1])
if not text or not sees(ARGV[4], cjson.decode(text).functionName) then return 0 end
redis.call("HDEL", KEYS[3], ARGV[1])
local _, isOwn = boundOf(ARGV[2])
if isOwn then
  redis.call("HDEL", KEYS[1], ARGV[1])
  tell(ARGV[3])
end
return 1`;

/** KEYS: proven, revision, claims. ARGV: domain, tenant, channel. */
const FORGET = `${BOUND}
local _, isOwn = boundOf(ARGV[2])
if not isOwn or redis.call("HEXISTS", KEYS[3], ARGV[1]) == 1 then return end
redis.call("HDEL", KEYS[1], ARGV[1])
tell(ARGV[3])`;

/**
 * Claims a domain for a function, or has a domain of the tenant be for another function. A proof
 * that there is stays.
 * @param seen functions of the key whose holder asks
 * @param max most domains of the tenant
 * @returns whether the claim is new
 * @throws SandpiperError TOO_MANY_DOMAINS; DOMAIN_TAKEN when it is for a function that is not seen
 */
export async function claimDomain(
  redis: Redis,
  tenant: string,
  name: string,
  { functionName, alias }: DomainTarget,
  { seen, max }: { seen: Seen; max: number },
): Promise<boolean> {
  const token = randomBytes(TOKEN_BYTES).toString("hex");
  const claim: StoredClaim = { functionName, ...(alias !== null && { alias }), token, createdAtMs: Date.now() };
  const words = [DOMAIN_CHANGES, JSON.stringify(seen), JSON.stringify(claim), max];
  const answer = await redis.eval(CLAIM, 3, PROVEN, REVISION, claimsKey(tenant), name, tenant, ...words);
  if (answer === -1) {
    throw new SandpiperError("TOO_MANY_DOMAINS", { message: `The tenant may have ${max} domains, and has them.` });
  }
  if (answer === -2) throw taken(name);
  return answer === 1;
}

/**
 * Has a claim be the one that counts.
 * @param token the one that was proven: the claim may be gone, and made anew, since it was read
 * @param take whether it is taken from a tenant that has proven it before
 * @throws SandpiperError DOMAIN_NOT_FOUND, DOMAIN_TAKEN
 */
export async function proveDomain(
  redis: Redis,
  tenant: string,
  { name, token }: Pick<Domain, "name" | "token">,
  { by, take = false }: { by: Proof; take?: boolean },
): Promise<void> {
  const words = [DOMAIN_CHANGES, token, by, take ? 1 : 0, Date.now()];
  const answer = await redis.eval(PROVE, 3, PROVEN, REVISION, claimsKey(tenant), name, tenant, ...words);
  if (answer === -1) throw noDomain(name);
  if (answer === -2) throw taken(name);
}

/** Removes a tenant's claim and its proof. @throws SandpiperError DOMAIN_NOT_FOUND */
export async function removeDomain(redis: Redis, tenant: string, name: string, seen: Seen): Promise<void> {
  const words = [DOMAIN_CHANGES, JSON.stringify(seen)];
  const answer = await redis.eval(REMOVE, 3, PROVEN, REVISION, claimsKey(tenant), name, tenant, ...words);
  if (answer === 0) throw noDomain(name);
}

/** A domain of a tenant. @throws SandpiperError DOMAIN_NOT_FOUND */
export async function findDomain(redis: Redis, tenant: string, name: string, seen: Seen): Promise<Domain> {
  const [claim, bound] = await Promise.all([redis.hget(claimsKey(tenant), name), redis.hget(PROVEN, name)]);
  const found = claim === null ? null : domainOf(tenant, name, claim, bound);
  if (found === null || !(seen?.includes(found.functionName) ?? true)) throw noDomain(name);
  return found;
}

/** The domains of a tenant, by name. */
export async function listDomains(redis: Redis, tenant: string): Promise<Domain[]> {
  const claims = Object.entries(await redis.hgetall(claimsKey(tenant))).sort(([one], [other]) =>
    one < other ? -1 : 1,
  );
  if (claims.length === 0) return [];
  const bound = await redis.hmget(PROVEN, ...claims.map(([name]) => name));
  return claims.map(([name, claim], index) => domainOf(tenant, name, claim, bound[index] ?? null));
}

/** Removes the proven domains of a tenant that has no claims any more. */
export async function forgetDomainsOf(redis: Redis, tenant: string): Promise<void> {
  let cursor = "0";
  do {
    const [next, entries] = await redis.hscan(PROVEN, cursor, "COUNT", SCAN_COUNT);
    cursor = next;
    for (let at = 0; at < entries.length; at += 2) {
      if (boundOf(entries[at + 1] ?? "").tenant !== tenant) continue;
      await forgetDomain(redis, tenant, entries[at] ?? "");
    }
  } while (cursor !== "0");
}

/** Has a domain answer no more that was proven for a tenant, unless the tenant claims it. */
export async function forgetDomain(redis: Redis, tenant: string, name: string): Promise<void> {
  await redis.eval(FORGET, 3, PROVEN, REVISION, claimsKey(tenant), name, tenant, DOMAIN_CHANGES);
}

/** A value of the hash of proven domains. */
export function boundOf(text: string): BoundDomain {
  const { tenant, functionName, alias = null } = JSON.parse(text) as StoredBound;
  return { tenant, functionName, alias };
}

function domainOf(tenant: string, name: string, claim: string, bound: string | null): Domain {
  const { functionName, alias = null, token, createdAtMs } = JSON.parse(claim) as StoredClaim;
  const found = bound === null ? null : (JSON.parse(bound) as StoredBound);
  const proven = found?.tenant === tenant ? { atMs: found.provenAtMs, by: found.by } : null;
  return { name, functionName, alias, token, createdAtMs, proven };
}

function noDomain(name: string): SandpiperError {
  return new SandpiperError("DOMAIN_NOT_FOUND", { message: `The tenant has no domain ${name}.` });
}

function taken(name: string): SandpiperError {
  return new SandpiperError("DOMAIN_TAKEN", { message: `The domain ${name} answers for somebody else.` });
}
