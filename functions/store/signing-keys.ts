/**
 * Keys of functions that sign URLs: one for each function, made when it is first needed, and those
 * before it for as long as URLs of theirs may count. Redis has them sealed with the data key of the
 * tenant.
 */
import { createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { LruMap } from "../../infra/std/lru.ts";
import { SandpiperError } from "../model/errors.ts";
import { keyIdOf, seal, unseal } from "../secrets/cipher.ts";
import type { DataKeys } from "./data-keys.ts";
import { type FunctionRef, functionKey, signingKeysKey } from "./function-keys.ts";

const CURRENT = "current";
const KEY_BYTES = 32;
/** Most keys of a function, those that were replaced among them. */
export const MAX_SIGNING_KEYS = 16;
/** Opened keys in memory. */
const MOST_OPEN = 10_000;

/** A key as Redis has it. */
interface StoredSigningKey {
  sealed: string;
  /** When it stops to count, by Redis's clock; without it the key is the current one. */
  endsAtMs?: number;
}

/** A key that counts, and Redis's time when it was read. */
export interface SigningKey {
  id: string;
  key: KeyObject;
  nowMs: number;
}

const NOW = `
local time = redis.call("TIME")
local nowMs = time[1] * 1000 + math.floor(time[2] / 1000)`;

/**
 * KEYS: keys, function. ARGV: new id, its text. Gives -1 when there is no such function; else the
 * time, and the current key, which is the new one where there was none.
 */
const READ_CURRENT = `${NOW}
local id = redis.call("HGET", KEYS[1], "current")
if not id and ARGV[1] == "" then return {nowMs} end
if not id then
  if redis.call("EXISTS", KEYS[2]) == 0 then return -1 end
  id = ARGV[1]
  redis.call("HSET", KEYS[1], id, ARGV[2], "current", id)
end
return {nowMs, id, redis.call("HGET", KEYS[1], id)}`;

/**
 * KEYS: keys, function. ARGV: new id, its text, how long keys before it still count, most keys.
 * Gives -1 without the function, -2 when there would be too many keys, else when the last of those
 * before ends.
 */
const ROTATE = `${NOW}
if redis.call("EXISTS", KEYS[2]) == 0 then return -1 end
local latestMs, kept, gone = nowMs + tonumber(ARGV[3]), {}, {}
local fields = redis.call("HGETALL", KEYS[1])
for index = 1, #fields, 2 do
  if fields[index] ~= "current" then
    local key = cjson.decode(fields[index + 1])
    key.endsAtMs = math.min(key.endsAtMs or latestMs, latestMs)
    if key.endsAtMs <= nowMs then
      table.insert(gone, fields[index])
    else
      table.insert(kept, fields[index])
      table.insert(kept, cjson.encode(key))
    end
  end
end
if #kept / 2 + 1 > tonumber(ARGV[4]) then return -2 end
if #gone > 0 then redis.call("HDEL", KEYS[1], unpack(gone)) end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[2], "current", ARGV[1], unpack(kept))
if #kept == 0 then return 0 end
return latestMs`;

export class SigningKeys {
  readonly #redis: Redis;
  readonly #dataKeys: DataKeys;
  /** By the sealed text, which is another one for each key. */
  readonly #open = new LruMap<string, KeyObject>(MOST_OPEN);

  constructor(redis: Redis, dataKeys: DataKeys) {
    this.#redis = redis;
    this.#dataKeys = dataKeys;
  }

  /**
   * The key that signs what is new; made when there is none.
   * @throws SandpiperError FUNCTION_NOT_FOUND; SealError
   */
  async current(ref: FunctionRef): Promise<SigningKey> {
    const known = await this.#readCurrent(ref, "", "");
    if (known !== null) return known;
    const [id, text] = await this.#newKey(ref);
    const made = await this.#readCurrent(ref, id, text);
    if (made === null) throw noFunction(ref);
    return made;
  }

  /** One of the function's keys, if it still counts. @throws SealError */
  async get(ref: FunctionRef, id: string): Promise<SigningKey | null> {
    const read = this.#redis.pipeline().time().hget(signingKeysKey(ref), id);
    const [[error, time] = [], [otherError, text] = []] = (await read.exec()) ?? [];
    if (error ?? otherError) throw error ?? otherError;
    const [seconds, micros] = time as [string, string];
    const nowMs = Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
    if (typeof text !== "string" || id === CURRENT) return null;
    const stored = JSON.parse(text) as StoredSigningKey;
    if ((stored.endsAtMs ?? nowMs + 1) <= nowMs) return null;
    return { id, key: await this.#opened(ref, id, stored.sealed), nowMs };
  }

  /**
   * Has a new key sign from now on.
   * @param overlapMs how long URLs of the keys before it still count; 0: no more
   * @returns the new key's id, and when the last key before it ends; null: none counts any more
   * @throws SandpiperError FUNCTION_NOT_FOUND, INVALID_REQUEST when there are too many; SealError
   */
  async rotate(ref: FunctionRef, overlapMs: number): Promise<{ id: string; oldEndAtMs: number | null }> {
    const [id, text] = await this.#newKey(ref);
    const keys = [signingKeysKey(ref), functionKey(ref)];
    const answer = Number(await this.#redis.eval(ROTATE, 2, ...keys, id, text, overlapMs, MAX_SIGNING_KEYS));
    if (answer === -1) throw noFunction(ref);
    if (answer === -2) {
      const message = `${MAX_SIGNING_KEYS} signing keys of ${ref.functionName} count, and no more may. End those before at once, or wait.`;
      throw new SandpiperError("INVALID_REQUEST", { message });
    }
    return { id, oldEndAtMs: answer === 0 ? null : answer };
  }

  async #readCurrent(ref: FunctionRef, newId: string, text: string): Promise<SigningKey | null> {
    const keys = [signingKeysKey(ref), functionKey(ref)];
    const answer = (await this.#redis.eval(READ_CURRENT, 2, ...keys, newId, text)) as -1 | [number, string?, string?];
    if (answer === -1) throw noFunction(ref);
    const [nowMs, id, stored] = answer;
    if (id === undefined || stored === undefined) return null;
    return { id, key: await this.#opened(ref, id, (JSON.parse(stored) as StoredSigningKey).sealed), nowMs };
  }

  async #newKey(ref: FunctionRef): Promise<[id: string, text: string]> {
    const id = randomBytes(6).toString("hex");
    const sealed = seal(await this.#dataKeys.current(ref.tenant), randomBytes(KEY_BYTES), about(ref, id));
    return [id, JSON.stringify({ sealed } satisfies StoredSigningKey)];
  }

  async #opened(ref: FunctionRef, id: string, sealed: string): Promise<KeyObject> {
    const name = `${ref.tenant}/${ref.functionName}/${id}/${sealed}`;
    const known = this.#open.get(name);
    if (known !== undefined) return known;
    const dataKey = await this.#dataKeys.get(ref.tenant, keyIdOf(sealed));
    const key = createSecretKey(unseal(dataKey, sealed, about(ref, id)));
    this.#open.set(name, key);
    return key;
  }
}

function about({ tenant, functionName }: FunctionRef, id: string) {
  return ["signing key", tenant, functionName, id];
}

function noFunction({ functionName }: FunctionRef): SandpiperError {
  return new SandpiperError("FUNCTION_NOT_FOUND", { message: `There is no function ${functionName}.` });
}
