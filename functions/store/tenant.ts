/** Tenants and their API keys: who is asking. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Redis } from "ioredis";
import { SandpiperError } from "../model/errors.ts";
import { NAME_PATTERN } from "../model/manifest.ts";
import { FULL_GRANT, type KeyGrant } from "../model/scopes.ts";

/** The sender of a request, as its key tells. */
export interface Principal extends KeyGrant {
  tenant: string;
  keyId: string;
}

/** A key as Redis has it. One that has no scopes may do everything, as all keys could once. */
export interface StoredKey extends Partial<KeyGrant> {
  tenant: string;
  sha256: string;
  note?: string | undefined;
  lifetimeMs?: number | undefined;
  createdAtMs?: number;
}

const SECRET_BYTES = 32;
/** sp_<12 hex digits>_<base64url of 32 bytes> */
const KEY_PATTERN = /^sp_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;
export const TENANTS = "sp:tenants";

/** The ids of keys that are the operator's, too. */
const OPERATOR_KEYS = "sp:operatorkeys";
/** Tenant, hash and grant of a key. */
export const keyOf = (keyId: string): string => `sp:apikey:${keyId}`;

/** The hash of a tenant's keys: when each was last used, in Unix milliseconds, or nothing. */
export const indexOf = (tenant: string): string => `sp:apikeys:${tenant}`;

/** The grant of a stored key. */
export function grantOf({ scopes, functions = null }: StoredKey): KeyGrant {
  return scopes === undefined ? FULL_GRANT : { scopes, functions };
}

/** A key that nobody has. */
export function newKey(): { keyId: string; key: string; sha256: string } {
  const keyId = randomBytes(6).toString("hex");
  const secret = randomBytes(SECRET_BYTES).toString("base64url");
  return { keyId, key: `sp_${keyId}_${secret}`, sha256: hashOf(secret).toString("hex") };
}

/**
 * Makes a tenant; one that exists already stays as it is.
 * @throws SandpiperError INVALID_NAME
 */
export async function createTenant(redis: Redis, tenant: string): Promise<void> {
  checkTenantName(tenant);
  await redis.hsetnx(TENANTS, tenant, JSON.stringify({ createdAtMs: Date.now() }));
}

/**
 * Makes a key for a tenant, which is made when it is new. The key itself is not stored and cannot
 * be shown again.
 * @throws SandpiperError INVALID_NAME
 */
export async function createKey(redis: Redis, tenant: string): Promise<{ keyId: string; key: string }> {
  const { keyId, key } = newKey();
  await registerKey(redis, tenant, key);
  return { keyId, key };
}

/**
 * Makes a key that was made elsewhere valid for a tenant. Doing so again changes nothing.
 * @throws SandpiperError INVALID_NAME, and INVALID_REQUEST when the key has not the shape of one or
 * another secret or tenant is registered under its id.
 */
export async function registerKey(redis: Redis, tenant: string, key: string): Promise<{ keyId: string }> {
  const parts = KEY_PATTERN.exec(key);
  if (!parts) throw new SandpiperError("INVALID_REQUEST", { message: "An API key has the form sp_<id>_<secret>." });
  const [, keyId = "", secret = ""] = parts;
  const record = JSON.stringify({ tenant, sha256: hashOf(secret).toString("hex") });
  // A gateway does this at each start, also on a Redis that takes no writes just then.
  const [known, isListed] = await Promise.all([redis.get(keyOf(keyId)), redis.hexists(indexOf(tenant), keyId)]);
  if (known === record && isListed === 1) return { keyId };
  await createTenant(redis, tenant);
  await redis.setnx(keyOf(keyId), record);
  if ((await redis.get(keyOf(keyId))) !== record) {
    throw new SandpiperError("INVALID_REQUEST", { message: `The key id ${keyId} is taken by another key.` });
  }
  await redis.hsetnx(indexOf(tenant), keyId, "");
  return { keyId };
}

/**
 * The holder of a key, or null when it is not valid. Takes as long for a wrong secret as for the
 * right one.
 */
export async function authenticate(redis: Redis, key: string): Promise<Principal | null> {
  const parts = KEY_PATTERN.exec(key);
  if (!parts) return null;
  const [, keyId = "", secret = ""] = parts;
  const stored = await redis.get(keyOf(keyId));
  if (stored === null) return null;
  const record = JSON.parse(stored) as StoredKey;
  if (!timingSafeEqual(hashOf(secret), Buffer.from(record.sha256, "hex"))) return null;
  return { tenant: record.tenant, keyId, ...grantOf(record) };
}

/** Has a key be the operator's as well, who decides over all tenants. */
export async function makeOperatorKey(redis: Redis, keyId: string): Promise<void> {
  // A gateway does this at each start, also on a Redis that takes no writes just then.
  if (!(await isOperatorKey(redis, keyId))) await redis.sadd(OPERATOR_KEYS, keyId);
}

/** Whether a key is the operator's. */
export async function isOperatorKey(redis: Redis, keyId: string): Promise<boolean> {
  return (await redis.sismember(OPERATOR_KEYS, keyId)) === 1;
}

/** The ids of operators' keys. */
export function operatorKeys(redis: Redis): Promise<string[]> {
  return redis.smembers(OPERATOR_KEYS);
}

/** The tenants that have an operator's key. */
export async function operatorTenants(redis: Redis): Promise<string[]> {
  const ids = await operatorKeys(redis);
  const stored = ids.length === 0 ? [] : await redis.mget(ids.map(keyOf));
  return stored.flatMap((text) => (text === null ? [] : [(JSON.parse(text) as { tenant: string }).tenant]));
}

/**
 * The secret is 32 random bytes, so that a plain hash cannot be searched; a slow one would only be
 * slow.
 */
function hashOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

/** @throws SandpiperError INVALID_NAME */
export function checkTenantName(tenant: string): void {
  if (!NAME_PATTERN.test(tenant)) {
    throw new SandpiperError("INVALID_NAME", {
      message: `${JSON.stringify(tenant.slice(0, 80))} is no tenant's name.`,
    });
  }
}
