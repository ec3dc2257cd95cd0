/** The registry: which functions a tenant has, and which version each of them runs. */
import type { Redis } from "ioredis";
import type { VersionRef } from "../model/invocation.ts";
import type { Version } from "../model/version.ts";

/** A function as it is now. */
export interface FunctionState {
  tenant: string;
  functionName: string;
  version: Version;
  /**
   * Why calls of the version have no forks of a template, as it asks for; null when they have, or
   * none was called.
   */
  noTemplateReason: string | null;
  createdAtMs: number;
  updatedAtMs: number;
}

/** Names one function of one tenant. */
export type FunctionRef = Pick<VersionRef, "tenant" | "functionName">;

/**
 * Where the registry says that a function runs another version now or is gone; the message is
 * "tenant/function".
 */
export const REGISTRY_CHANGES = "sp:registry:changes";

const functionsKey = (tenant: string): string => `sp:functions:${tenant}`;
const functionKey = ({ tenant, functionName }: FunctionRef): string => `sp:function:${tenant}:${functionName}`;
/**
 * A hash of all versions of a function, and of what was found out about them, so that all goes when
 * the function goes.
 */
const versionsKey = ({ tenant, functionName }: FunctionRef): string => `sp:versions:${tenant}:${functionName}`;

const noTemplateReasonField = (version: string): string => `${version}:noTemplateReason`;

/** KEYS: versions. ARGV: version, field, obstacle. Notes nothing of a version that is gone. */
const NOTE = `
if redis.call("HEXISTS", KEYS[1], ARGV[1]) == 1 then redis.call("HSET", KEYS[1], ARGV[2], ARGV[3]) end`;

/**
 * KEYS: functions, function, versions. ARGV: name, version, now, changes channel, message.
 * Gives 1 when the function is new, 0 when it was there, -1 when there is no such version.
 */
const DEPLOY = `
if redis.call("HEXISTS", KEYS[3], ARGV[2]) == 0 then return -1 end
local created = redis.call("HSETNX", KEYS[2], "createdAtMs", ARGV[3])
redis.call("HSET", KEYS[2], "version", ARGV[2], "updatedAtMs", ARGV[3])
redis.call("SADD", KEYS[1], ARGV[1])
redis.call("PUBLISH", ARGV[4], ARGV[5])
return created`;

/**
 * KEYS: functions, function, versions. ARGV: name, changes channel, message. Gives 1 when there was
 * one.
 */
const DELETE = `
local existed = redis.call("DEL", KEYS[2])
redis.call("DEL", KEYS[3])
redis.call("SREM", KEYS[1], ARGV[1])
if existed == 1 then redis.call("PUBLISH", ARGV[2], ARGV[3]) end
return existed`;

export class Registry {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /**
   * Keeps a version. Versions are immutable: keeping one again under the same digest replaces only
   * what its build gave.
   */
  async putVersion(version: Version): Promise<void> {
    await this.#redis.hset(versionsKey(version), version.version, JSON.stringify(version));
  }

  /** A version, or null when there is none. */
  async getVersion(ref: VersionRef): Promise<Version | null> {
    const stored = await this.#redis.hget(versionsKey(ref), ref.version);
    return stored === null ? null : (JSON.parse(stored) as Version);
  }

  /**
   * Moves a function to a version that was put before, and makes the function when it is new.
   * Gateways are told.
   * @returns whether the function is new.
   * @throws Error when there is no such version.
   */
  async deployFunction(ref: VersionRef): Promise<boolean> {
    const created = await this.#redis.eval(
      DEPLOY,
      3,
      functionsKey(ref.tenant),
      functionKey(ref),
      versionsKey(ref),
      ref.functionName,
      ref.version,
      Date.now(),
      REGISTRY_CHANGES,
      changeMessage(ref),
    );
    if (created === -1) throw new Error(`There is no version ${ref.version} of ${ref.tenant}/${ref.functionName}.`);
    return created === 1;
  }

  /** Notes why a version cannot be a template. */
  async noteNoTemplateReason(ref: VersionRef, noTemplateReason: string): Promise<void> {
    await this.#redis.eval(
      NOTE,
      1,
      versionsKey(ref),
      ref.version,
      noTemplateReasonField(ref.version),
      noTemplateReason,
    );
  }

  /**
   * Digest of the version that a function runs, or null when there is no such function. One read of
   * Redis.
   */
  async currentVersion(ref: FunctionRef): Promise<string | null> {
    return this.#redis.hget(functionKey(ref), "version");
  }

  /** A function with its version, or null when there is none. */
  async getFunction(ref: FunctionRef): Promise<FunctionState | null> {
    const stored = await this.#redis.hgetall(functionKey(ref));
    const digest = stored.version;
    if (digest === undefined) return null;
    const [version, noTemplateReason = null] = await this.#redis.hmget(
      versionsKey(ref),
      digest,
      noTemplateReasonField(digest),
    );
    if (!version) return null;
    return {
      tenant: ref.tenant,
      functionName: ref.functionName,
      version: JSON.parse(version) as Version,
      noTemplateReason,
      createdAtMs: Number(stored.createdAtMs),
      updatedAtMs: Number(stored.updatedAtMs),
    };
  }

  /** All functions of a tenant, by name. */
  async listFunctions(tenant: string): Promise<FunctionState[]> {
    const names = (await this.#redis.smembers(functionsKey(tenant))).sort();
    const functions = await Promise.all(names.map((functionName) => this.getFunction({ tenant, functionName })));
    return functions.filter((state) => state !== null);
  }

  /**
   * Removes a function and all its versions. Gateways are told. Its artefacts stay in their store:
   * other functions may use the same bytes.
   * @returns whether there was one.
   */
  async deleteFunction(ref: FunctionRef): Promise<boolean> {
    const existed = await this.#redis.eval(
      DELETE,
      3,
      functionsKey(ref.tenant),
      functionKey(ref),
      versionsKey(ref),
      ref.functionName,
      REGISTRY_CHANGES,
      changeMessage(ref),
    );
    return existed === 1;
  }
}

function changeMessage({ tenant, functionName }: FunctionRef): string {
  return `${tenant}/${functionName}`;
}
