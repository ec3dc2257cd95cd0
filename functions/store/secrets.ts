/**
 * Secrets of functions and tenants, and the environments of versions, sealed with the data keys of
 * their tenants. What belongs to a sealed text (tenant, function, name, version) is sealed with it:
 * none opens in another's place.
 */
import { createHmac, hkdfSync } from "node:crypto";
import type { Redis } from "ioredis";
import { SandpiperError } from "../model/errors.ts";
import type { VersionRef } from "../model/invocation.ts";
import { MAX_SECRET_SCOPES, MAX_SECRETS_OF_SCOPE, type SecretFacts, type SecretScope } from "../model/secrets.ts";
import type { SealedEnv } from "../model/version.ts";
import { keyIdOf, seal, unseal } from "../secrets/cipher.ts";
import type { DataKeys } from "./data-keys.ts";
import { SECRET_CHANGES, secretScopesKey, secretsKey } from "./function-keys.ts";

/** A hash of a number for each tenant: the version that the tenant's last secret got. */
const VERSIONS = "sp:secretversions";

/** A secret as Redis has it. */
interface StoredSecret {
  version: number;
  updatedAtMs: number;
  sealed: string;
}

/**
 * KEYS: secrets of the scope, scopes. ARGV: name, version, text, most secrets, function or nothing,
 * most scopes, channel, message. Gives 1; 0 when a later one is there; -1, -2 when there are too
 * many secrets, or functions with secrets.
 */
const SET = `
local before = redis.call("HGET", KEYS[1], ARGV[1])
if before and cjson.decode(before).version > tonumber(ARGV[2]) then return 0 end
if not before and redis.call("HLEN", KEYS[1]) >= tonumber(ARGV[4]) then return -1 end
if ARGV[5] ~= "" then
  local isNew = redis.call("SISMEMBER", KEYS[2], ARGV[5]) == 0
  if isNew and redis.call("SCARD", KEYS[2]) >= tonumber(ARGV[6]) then return -2 end
  redis.call("SADD", KEYS[2], ARGV[5])
end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[3])
redis.call("PUBLISH", ARGV[7], ARGV[8])
return 1`;

/** KEYS: secrets of the scope, scopes. ARGV: name, function or nothing, channel, message. */
const DELETE = `
local existed = redis.call("HDEL", KEYS[1], ARGV[1])
if ARGV[2] ~= "" and redis.call("EXISTS", KEYS[1]) == 0 then redis.call("SREM", KEYS[2], ARGV[2]) end
if existed == 1 then redis.call("PUBLISH", ARGV[3], ARGV[4]) end
return existed`;

/** The secrets of a version: values by name, and what they are known by when they change. */
export interface OpenedSecrets {
  values: ReadonlyMap<string, string>;
  /** Changes when any of them does. */
  stamp: string;
}

export class SecretStore {
  readonly #redis: Redis;
  readonly #dataKeys: DataKeys;

  constructor(redis: Redis, dataKeys: DataKeys) {
    this.#redis = redis;
    this.#dataKeys = dataKeys;
  }

  /**
   * Keeps a secret, in place of the one of that name.
   * @throws SandpiperError INVALID_REQUEST when there are too many; SealError
   */
  async set(scope: SecretScope, name: string, value: string): Promise<SecretFacts> {
    const key = await this.#dataKeys.current(scope.tenant);
    const version = await this.#redis.hincrby(VERSIONS, scope.tenant, 1);
    const updatedAtMs = Date.now();
    const stored: StoredSecret = { version, updatedAtMs, sealed: "" };
    stored.sealed = seal(key, Buffer.from(value), aboutSecret(scope, name, version));
    const keys = [secretsKey(scope), secretScopesKey(scope.tenant)];
    const given = [name, version, JSON.stringify(stored), MAX_SECRETS_OF_SCOPE, scope.functionName ?? ""];
    const said = [MAX_SECRET_SCOPES, SECRET_CHANGES, changeMessage(scope)];
    refuseTooMany(await this.#redis.eval(SET, 2, ...keys, ...given, ...said), scope);
    return { name, functionName: scope.functionName, version, updatedAtMs };
  }

  /** Forgets a secret. @returns whether there was one */
  async delete(scope: SecretScope, name: string): Promise<boolean> {
    const keys = [secretsKey(scope), secretScopesKey(scope.tenant)];
    const given = [name, scope.functionName ?? "", SECRET_CHANGES, changeMessage(scope)];
    return (await this.#redis.eval(DELETE, 2, ...keys, ...given)) === 1;
  }

  /** Secrets of a scope, by name, without their values. */
  async list(scope: SecretScope): Promise<SecretFacts[]> {
    const stored = await this.#redis.hgetall(secretsKey(scope));
    return Object.entries(stored)
      .map(([name, text]) => {
        const { version, updatedAtMs } = JSON.parse(text) as StoredSecret;
        return { name, functionName: scope.functionName, version, updatedAtMs };
      })
      .sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  /** All secrets of a tenant and of its functions, without their values. */
  async listAll(tenant: string): Promise<SecretFacts[]> {
    const functions = (await this.#redis.smembers(secretScopesKey(tenant))).sort();
    const scopes = [null, ...functions].map((functionName) => ({ tenant, functionName }));
    return (await Promise.all(scopes.map((scope) => this.list(scope)))).flat();
  }

  /**
   * The values of a function's secrets: of these names, its own before its tenant's; without names
   * all of its own. Names that have no secret lack in the result.
   * @throws SealError
   */
  async open({ tenant, functionName }: VersionRef, names: readonly string[] | null): Promise<OpenedSecrets> {
    const found = await this.#find(tenant, functionName, names);
    const opened = await Promise.all(
      found.map(async ({ scope, name, stored }): Promise<[string, string]> => {
        const key = await this.#dataKeys.get(tenant, keyIdOf(stored.sealed));
        return [name, unseal(key, stored.sealed, aboutSecret(scope, name, stored.version)).toString()];
      }),
    );
    const stamps = found.map(({ scope, name, stored }) => [scope.functionName, name, stored.version]);
    return { values: new Map(opened), stamp: JSON.stringify(stamps) };
  }

  async #find(tenant: string, functionName: string, names: readonly string[] | null) {
    const [own, shared] = [functionName, null].map((owner) => ({ tenant, functionName: owner })) as [
      SecretScope,
      SecretScope,
    ];
    const read = this.#redis.pipeline().hgetall(secretsKey(own));
    if (names !== null && names.length > 0) read.hmget(secretsKey(shared), ...names);
    const [[error, ofFunction] = [], [otherError, ofTenant] = []] = (await read.exec()) ?? [];
    if (error ?? otherError) throw error ?? otherError;
    const texts = ofFunction as Record<string, string>;
    return (names ?? Object.keys(texts).sort()).flatMap((name, index) => {
      const isOwn = Object.hasOwn(texts, name);
      const text = isOwn ? texts[name] : ((ofTenant ?? []) as (string | null)[])[index];
      return text ? [{ scope: isOwn ? own : shared, name, stored: JSON.parse(text) as StoredSecret }] : [];
    });
  }

  /** The environment of a version, sealed; undefined when it is empty. @throws SealError */
  async sealEnv(ref: VersionRef, env: Readonly<Record<string, string>>): Promise<SealedEnv | undefined> {
    const names = Object.keys(env);
    if (names.length === 0) return undefined;
    const key = await this.#dataKeys.current(ref.tenant);
    return { names, sealed: seal(key, Buffer.from(JSON.stringify(env)), aboutEnv(ref)) };
  }

  /** The environment that was sealed. @throws SealError */
  async openEnv(ref: VersionRef, { sealed }: SealedEnv): Promise<Record<string, string>> {
    const key = await this.#dataKeys.get(ref.tenant, keyIdOf(sealed));
    return JSON.parse(unseal(key, sealed, aboutEnv(ref)).toString()) as Record<string, string>;
  }

  /**
   * A text that is the same for the same environment of the same tenant, and from which nobody
   * without the tenant's data key can find the environment, not by trying either.
   * @throws SealError
   */
  async fingerprint(tenant: string, env: Readonly<Record<string, string>>): Promise<string> {
    const { key } = await this.#dataKeys.current(tenant);
    const sorted = Object.entries(env).sort(([one], [other]) => (one < other ? -1 : 1));
    const derived = Buffer.from(hkdfSync("sha256", key, "", "sandpiper env fingerprint", 32));
    return createHmac("sha256", derived).update(JSON.stringify(sorted)).digest("hex");
  }
}

function aboutSecret({ tenant, functionName }: SecretScope, name: string, version: number) {
  return ["secret", tenant, functionName, name, version];
}

function aboutEnv({ tenant, functionName, version }: VersionRef) {
  return ["env", tenant, functionName, version];
}

function changeMessage({ tenant, functionName }: SecretScope): string {
  return `${tenant}/${functionName ?? ""}`;
}

function refuseTooMany(answer: unknown, { functionName }: SecretScope): void {
  if (answer === -2) {
    const message = `${MAX_SECRET_SCOPES} functions have secrets, and no more may have some. Delete those of functions that are gone.`;
    throw new SandpiperError("INVALID_REQUEST", { message });
  }
  if (answer !== -1) return;
  const whose = functionName === null ? "The tenant" : `The function ${functionName}`;
  const message = `${whose} has ${MAX_SECRETS_OF_SCOPE} secrets already, as many as there may be.`;
  throw new SandpiperError("INVALID_REQUEST", { message });
}
