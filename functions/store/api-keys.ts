/**
 * The API keys of a tenant. A key that expires goes from Redis by Redis's own clock, so no gateway
 * has to know the time. Gateways ask Redis for each request: a key that was revoked is none from
 * that moment on.
 */
import type { Redis } from "ioredis";
import { LruMap } from "../../infra/std/lru.ts";
import { SandpiperError } from "../model/errors.ts";
import { type KeyGrant, MAX_KEYS } from "../model/scopes.ts";
import { grantOf, indexOf, isOperatorKey, keyOf, newKey, type StoredKey } from "./tenant.ts";

/** A key as its tenant sees it; times in Unix milliseconds. */
export interface KeyFacts extends KeyGrant {
  keyId: string;
  note: string | null;
  isOperator: boolean;
  /** null: it was made before that was noted. */
  createdAtMs: number | null;
  /** null: it does not expire. */
  expiresAtMs: number | null;
  /** To the minute; null: never. */
  lastUsedAtMs: number | null;
}

/** A wish for a key. */
export interface KeyWish extends KeyGrant {
  note?: string | undefined;
  /** undefined: it does not expire. */
  lifetimeMs?: number | undefined;
}

/** A key that is shown this once. */
export interface MadeKey {
  key: string;
  facts: KeyFacts;
}

/** How exact the time of the last use is. */
const USE_NOTED_MS = 60_000;
const MOST_REMEMBERED = 10_000;

/**
 * KEYS: key, keys of the tenant, key that it replaces. ARGV: record, id, ms to live or 0, most
 * keys, whether it replaces one. Gives 0 when there are too many, -1 when the other key is gone:
 * one that is revoked at the same moment must not live on in another.
 */
const PUT = `
if ARGV[5] == "1" and redis.call("EXISTS", KEYS[3]) == 0 then return -1 end
if redis.call("HLEN", KEYS[2]) >= tonumber(ARGV[4]) then return 0 end
if ARGV[3] == "0" then redis.call("SET", KEYS[1], ARGV[1])
else redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[3]) end
redis.call("HSET", KEYS[2], ARGV[2], "")
return 1`;

/** KEYS: key, keys of the tenant. ARGV: id, ms. Has a key end then, unless it ends before. */
const END = `
local ttlMs = redis.call("PTTL", KEYS[1])
if ttlMs >= 0 and ttlMs <= tonumber(ARGV[2]) then return end
if tonumber(ARGV[2]) > 0 then redis.call("PEXPIRE", KEYS[1], ARGV[2]) return end
redis.call("DEL", KEYS[1])
redis.call("HDEL", KEYS[2], ARGV[1])`;

/** KEYS: keys of the tenant. ARGV: id, ms that a note stands. Notes nothing of a gone key. */
const NOTE_USE = `
local before = redis.call("HGET", KEYS[1], ARGV[1])
if not before then return end
local time = redis.call("TIME")
local nowMs = time[1] * 1000 + math.floor(time[2] / 1000)
if (tonumber(before) or 0) + tonumber(ARGV[2]) > nowMs then return end
redis.call("HSET", KEYS[1], ARGV[1], string.format("%.0f", nowMs))`;

/** Makes a key. @throws SandpiperError INVALID_REQUEST when the tenant has as many as it may */
export function addKey(redis: Redis, tenant: string, wish: KeyWish): Promise<MadeKey> {
  return putKey(redis, tenant, wish, null);
}

/** @param replaced id of the key that goes on in this one @throws SandpiperError as callers do */
async function putKey(redis: Redis, tenant: string, wish: KeyWish, replaced: string | null): Promise<MadeKey> {
  await forgetExpired(redis, tenant);
  const { keyId, key, sha256 } = newKey();
  const { scopes, functions, note, lifetimeMs } = wish;
  const stored: StoredKey = { tenant, sha256, scopes, functions, note, lifetimeMs, createdAtMs: Date.now() };
  const keys = [keyOf(keyId), indexOf(tenant), keyOf(replaced ?? keyId)] as const;
  const words = [JSON.stringify(stored), keyId, lifetimeMs ?? 0, MAX_KEYS, replaced === null ? 0 : 1];
  const answer = await redis.eval(PUT, 3, ...keys, ...words);
  if (answer === -1) throw noKey(replaced ?? "");
  if (answer === 1) {
    return { key, facts: await factsOf(redis, tenant, keyId) };
  }
  const message = `The tenant has ${MAX_KEYS} keys, as many as it may. Revoke one that is not used.`;
  throw new SandpiperError("INVALID_REQUEST", { message });
}

/** The keys of a tenant, oldest first. */
export async function listKeys(redis: Redis, tenant: string): Promise<KeyFacts[]> {
  const ids = await forgetExpired(redis, tenant);
  const facts = await Promise.all(ids.map((keyId) => factsOf(redis, tenant, keyId).catch(nullWhenGone)));
  return facts
    .filter((one) => one !== null)
    .sort((one, other) => (one.createdAtMs ?? 0) - (other.createdAtMs ?? 0) || (one.keyId < other.keyId ? -1 : 1));
}

/** One key. @throws SandpiperError KEY_NOT_FOUND */
export async function factsOf(redis: Redis, tenant: string, keyId: string): Promise<KeyFacts> {
  const { stored, lastUsed } = await read(redis, tenant, keyId);
  const [ttlMs, isOperator] = await Promise.all([redis.pttl(keyOf(keyId)), isOperatorKey(redis, keyId)]);
  return {
    keyId,
    ...grantOf(stored),
    note: stored.note ?? null,
    isOperator,
    createdAtMs: stored.createdAtMs ?? null,
    expiresAtMs: ttlMs < 0 ? null : Date.now() + ttlMs,
    lastUsedAtMs: lastUsed === "" ? null : Number(lastUsed),
  };
}

/**
 * Makes a key that may do the same, for as long as the old one was to live, and ends the old one.
 * @param overlapMs for how long both are valid
 * @throws SandpiperError KEY_NOT_FOUND; INVALID_REQUEST for an operator's key
 */
export async function rotateKey(redis: Redis, tenant: string, keyId: string, overlapMs: number): Promise<MadeKey> {
  const { stored } = await read(redis, tenant, keyId);
  await refuseOperator(redis, keyId);
  const wish = { ...grantOf(stored), note: stored.note, lifetimeMs: stored.lifetimeMs };
  const made = await putKey(redis, tenant, wish, keyId);
  await redis.eval(END, 2, keyOf(keyId), indexOf(tenant), keyId, overlapMs);
  return made;
}

/** Ends a key. @throws SandpiperError KEY_NOT_FOUND; INVALID_REQUEST for an operator's key */
export async function revokeKey(redis: Redis, tenant: string, keyId: string): Promise<void> {
  await read(redis, tenant, keyId);
  await refuseOperator(redis, keyId);
  await redis.eval(END, 2, keyOf(keyId), indexOf(tenant), keyId, 0);
}

/** Notes when keys were last used, once a minute at most, while nobody waits for it. */
export class KeyUses {
  readonly #redis: Redis;
  readonly #noted = new LruMap<string, number>(MOST_REMEMBERED);

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  note({ tenant, keyId }: { tenant: string; keyId: string }): void {
    const nowMs = performance.now();
    const before = this.#noted.get(keyId);
    if (before !== undefined && before + USE_NOTED_MS > nowMs) return;
    this.#noted.set(keyId, nowMs);
    this.#redis.eval(NOTE_USE, 1, indexOf(tenant), keyId, USE_NOTED_MS).catch(() => {});
  }
}

/** Takes keys off the tenant's list that have expired. @returns the ids of the others */
async function forgetExpired(redis: Redis, tenant: string): Promise<string[]> {
  const ids = await redis.hkeys(indexOf(tenant));
  if (ids.length === 0) return [];
  const stored = await redis.mget(ids.map(keyOf));
  const gone = ids.filter((_, index) => stored[index] === null);
  if (gone.length > 0) await redis.hdel(indexOf(tenant), ...gone);
  return ids.filter((_, index) => stored[index] !== null);
}

/** The tenant's own list alone is asked: of others' keys nothing is looked up. */
async function read(redis: Redis, tenant: string, keyId: string) {
  const lastUsed = await redis.hget(indexOf(tenant), keyId);
  const text = lastUsed === null ? null : await redis.get(keyOf(keyId));
  if (lastUsed === null || text === null) throw noKey(keyId);
  return { stored: JSON.parse(text) as StoredKey, lastUsed };
}

function noKey(keyId: string): SandpiperError {
  return new SandpiperError("KEY_NOT_FOUND", { message: `There is no key ${JSON.stringify(keyId.slice(0, 40))}.` });
}

function nullWhenGone(error: unknown): null {
  if (error instanceof SandpiperError && error.code === "KEY_NOT_FOUND") return null;
  throw error;
}

async function refuseOperator(redis: Redis, keyId: string): Promise<void> {
  if (!(await isOperatorKey(redis, keyId))) return;
  const message = `${keyId} is the operator's key, which the file of SANDPIPER_BOOTSTRAP_KEY_FILE has. It cannot be ended here.`;
  throw new SandpiperError("INVALID_REQUEST", { message });
}
