/**
 * Data keys: each tenant has one that seals what is new, and may have older ones that still open.
 * Redis has them sealed with a master key. For each master key that a data key is sealed with there
 * is a canary, by which a process sees at its start that it has the right keys.
 */
import { createSecretKey, randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { LruMap } from "../../infra/std/lru.ts";
import { SandpiperError } from "../model/errors.ts";
import { scanKeys } from "../redis/scan.ts";
import { type Key, keyIdOf, SealError, seal, unseal } from "../secrets/cipher.ts";
import type { MasterKeys } from "../secrets/master-keys.ts";

/** By master key: the canary that it seals. */
export const MASTER_CANARIES = "sp:masterkeys";
/** A hash for each tenant: its data keys by id, sealed, and the `current` one's id. */
const dataKeysKey = (tenant: string): string => `sp:datakeys:${tenant}`;
const PATTERN = dataKeysKey("*");
const CURRENT = "current";

const CANARY_TEXT = Buffer.from("sandpiper");
const aboutCanary = (masterId: string) => ["canary", masterId];
const aboutDataKey = (tenant: string, id: string) => ["data key", tenant, id];

const KEY_BYTES = 32;
/** Opened data keys in memory. */
const MOST_OPEN = 10_000;

/**
 * KEYS: data keys, canaries. ARGV: the id that is current for all that the caller knows, or
 * nothing; new id, the new key sealed, id of its master key, canary. Gives the current id.
 */
const ADD = `
local current = redis.call("HGET", KEYS[1], "current") or ""
if current ~= ARGV[1] then return current end
redis.call("HSET", KEYS[1], ARGV[2], ARGV[3], "current", ARGV[2])
redis.call("HSETNX", KEYS[2], ARGV[4], ARGV[5])
return ARGV[2]`;

/** KEYS: data keys. ARGV: id, the key as it was sealed before, and as it is sealed now. */
const REPLACE = `
if redis.call("HGET", KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[3])
return 1`;

/** The end of a pass over all data keys. */
export interface Rewrapped {
  /** Id of the master key that all are sealed with now. */
  masterKey: string;
  /** Tenants with data keys, and data keys that were sealed with another master key before. */
  tenants: number;
  rewrapped: number;
}

export class DataKeys {
  readonly #redis: Redis;
  readonly #masterKeys: MasterKeys;
  /** By the sealed text: a data key that was sealed anew is another entry. */
  readonly #open = new LruMap<string, Key>(MOST_OPEN);

  constructor(redis: Redis, masterKeys: MasterKeys) {
    this.#redis = redis;
    this.#masterKeys = masterKeys;
  }

  /**
   * Sees that these master keys open what is in Redis. Where nothing was ever sealed, the first one
   * is noted from now on.
   * @throws SealError when they do not; the message names the keys, and what to do
   */
  async verify(): Promise<void> {
    const { first, ids } = this.#masterKeys;
    const noted = await this.#redis.hgetall(MASTER_CANARIES);
    if (Object.keys(noted).length === 0) await this.#redis.hsetnx(MASTER_CANARIES, first.id, canaryOf(first));
    const canaries = Object.entries(await this.#redis.hgetall(MASTER_CANARIES));
    for (const [id, canary] of canaries) {
      const key = this.#masterKeys.get(id);
      if (key === undefined) throw new SealError(lacks(id, ids));
      unseal(key, canary, aboutCanary(id));
    }
  }

  /**
   * Sees that a sealed data key of a tenant, as a backup has it, opens here.
   * @returns the id of its master key
   * @throws SandpiperError MASTER_KEY_MISSING; SealError when it was changed, or is another's
   */
  check(tenant: string, id: string, sealed: string): string {
    const masterId = keyIdOf(sealed);
    const master = this.#masterKeys.get(masterId);
    if (master !== undefined) {
      unseal(master, sealed, aboutDataKey(tenant, id));
      return masterId;
    }
    const given = this.#masterKeys.ids.join(", ");
    const message = `Secrets of the backup are sealed with the master key ${masterId}, and here is only ${given}: add that key in a line below the first, for all gateways and workers, or restore without secrets (--without-secrets).`;
    throw new SandpiperError("MASTER_KEY_MISSING", { message });
  }

  /** Canaries of these master keys, field and value in turn. */
  canariesOf(masterIds: Iterable<string>): string[] {
    return [...masterIds].flatMap((id) => {
      const key = this.#masterKeys.get(id);
      return key === undefined ? [] : [id, canaryOf(key)];
    });
  }

  /** The tenant's key that seals what is new; made when there is none. @throws SealError */
  async current(tenant: string): Promise<Key> {
    const id = await this.#redis.hget(dataKeysKey(tenant), CURRENT);
    return this.get(tenant, id ?? (await this.#add(tenant, "")));
  }

  /** One of the tenant's keys. @throws SealError when there is none of that id, or none opens it */
  async get(tenant: string, id: string): Promise<Key> {
    const sealed = await this.#redis.hget(dataKeysKey(tenant), id);
    if (sealed === null) throw new SealError(`the data key ${id} of the tenant ${tenant} is not in Redis`);
    return this.#unsealKey(tenant, id, sealed);
  }

  /**
   * Has all data keys sealed with the first master key, while others use them. A tenant whose
   * current data key was sealed with another master key gets a new one for what is sealed from now
   * on: whoever had the old master key may have the old data key. Then the canaries of the other
   * master keys go, and those keys are needed no more.
   * @throws SealError when a data key does not open; those before it are done then
   */
  async rewrap(): Promise<Rewrapped> {
    const { first } = this.#masterKeys;
    const noted = await this.#redis.hkeys(MASTER_CANARIES);
    const result = { masterKey: first.id, tenants: 0, rewrapped: 0 };
    for await (const tenant of this.#tenants()) {
      result.tenants += 1;
      result.rewrapped += await this.#rewrapTenant(tenant);
    }
    await this.#redis.hset(MASTER_CANARIES, first.id, canaryOf(first));
    const others = noted.filter((id) => id !== first.id);
    if (others.length > 0) await this.#redis.hdel(MASTER_CANARIES, ...others);
    return result;
  }

  async #rewrapTenant(tenant: string): Promise<number> {
    const { first } = this.#masterKeys;
    const stored = await this.#redis.hgetall(dataKeysKey(tenant));
    const current = stored[CURRENT] ?? "";
    const old = Object.entries(stored).filter(([id, sealed]) => id !== CURRENT && keyIdOf(sealed) !== first.id);
    for (const [id, sealed] of old) {
      const { key } = this.#unsealKey(tenant, id, sealed);
      const anew = seal(first, key.export(), aboutDataKey(tenant, id));
      await this.#redis.eval(REPLACE, 1, dataKeysKey(tenant), id, sealed, anew);
    }
    if (old.some(([id]) => id === current)) await this.#add(tenant, current);
    return old.length;
  }

  /** Makes a data key the current one, unless another has become that. @returns the current id */
  async #add(tenant: string, before: string): Promise<string> {
    const { first } = this.#masterKeys;
    const [id, bytes] = [randomBytes(6).toString("hex"), randomBytes(KEY_BYTES)];
    const sealed = seal(first, bytes, aboutDataKey(tenant, id));
    const keys = [dataKeysKey(tenant), MASTER_CANARIES];
    return String(await this.#redis.eval(ADD, 2, ...keys, before, id, sealed, first.id, canaryOf(first)));
  }

  #unsealKey(tenant: string, id: string, sealed: string): Key {
    const name = `${tenant}/${id}/${sealed}`;
    const known = this.#open.get(name);
    if (known !== undefined) return known;
    const masterId = keyIdOf(sealed);
    const master = this.#masterKeys.get(masterId);
    if (master === undefined) throw new SealError(lacks(masterId, this.#masterKeys.ids));
    const key = { id, key: createSecretKey(unseal(master, sealed, aboutDataKey(tenant, id))) };
    this.#open.set(name, key);
    return key;
  }

  async *#tenants(): AsyncGenerator<string> {
    for await (const key of scanKeys(this.#redis, PATTERN)) yield key.slice(PATTERN.length - 1);
  }
}

function canaryOf(key: Key): string {
  return seal(key, CANARY_TEXT, aboutCanary(key.id));
}

function lacks(id: string, given: readonly string[]): string {
  return `secrets in this Redis are sealed with the master key ${id}, and only ${given.join(", ")} ${given.length === 1 ? "is" : "are"} given: add that key, in a line below the first`;
}
