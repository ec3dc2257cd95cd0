/** The registry: which functions a tenant has, and which version each of them runs. */
import type { Redis } from "ioredis";
import { type Alias, LIVE, wholly } from "../model/alias.ts";
import type { VersionRef } from "../model/invocation.ts";
import type { SealedEnv, Version } from "../model/version.ts";
import { scanKeys } from "../redis/scan.ts";
import { aliasesOf, moveAlias, NAMED_VERSIONS, NOTE_UNUSED } from "./aliases.ts";
import { cellKeyOf, FORGET_CANARIES } from "./canaries.ts";
import { readLiveRoutes, routesField } from "./domains/live-routes.ts";
import {
  deletedVersionsKey,
  type FunctionRef,
  functionKey,
  functionsKey,
  historyKey,
  noteField,
  REGISTRY_CHANGES,
  SECRET_CHANGES,
  secretScopesKey,
  secretsKey,
  signingKeysKey,
  versionsKey,
} from "./function-keys.ts";
import { NOTE_PROVISION, PROVISIONS } from "./provisions/provisions.ts";
import { putVersion } from "./put-version.ts";

export { type FunctionRef, REGISTRY_CHANGES } from "./function-keys.ts";

/** A function as it is now. */
export interface FunctionState {
  tenant: string;
  functionName: string;
  version: Version;
  /** The first is `live`, whose base is the version. */
  aliases: readonly Alias[];
  /** The key by which clients of an alias are dealt into cells; null when nobody watches it. */
  cellKeyOf(alias: string): string | null;
  /**
   * Why calls of the version have no forks of a template, as it asks for; null when they have, or
   * none was called.
   */
  noTemplateReason: string | null;
  /** Whether it ends with the process that holds it. */
  isHeld: boolean;
  createdAtMs: number;
  updatedAtMs: number;
}

/** A version as its collection (gc-versions.ts) sees it. */
export interface KeptVersion {
  version: string;
  /** Digests of its artefacts. */
  artifacts: readonly string[];
  /** Digests of the source files that it was made of. */
  files: readonly string[];
  /** Whether an alias of its function names it. */
  isCurrent: boolean;
  /**
   * Since when no alias names it, as Unix time in milliseconds of Redis's clock; null
   * when one does, or when nobody noted it yet.
   */
  unusedSinceMs: number | null;
}

const VERSIONS_PATTERN = versionsKey({ tenant: "*", functionName: "*" });

/**
 * How long versions of a deleted function stay for calls that were admitted before: longer than a
 * call may wait in the queue.
 */
const KEEP_DELETED_MS = 1_000_000;

const noTemplateReasonField = (version: string): string => `${version}:noTemplateReason`;
const unusedSinceField = (version: string): string => `${version}:unusedSinceMs`;

/**
 * KEYS: function, versions. ARGV: version. Notes it of a version of which it is not known, as one
 * that was kept before it was noted.
 */
const NOTE_IF_UNUSED = `${NOTE_UNUSED}${NAMED_VERSIONS}
if redis.call("HEXISTS", KEYS[2], ARGV[1]) == 0 then return end
if redis.call("HEXISTS", KEYS[2], ARGV[1] .. ":unusedSinceMs") == 1 then return end
if not namedVersions(KEYS[1])[ARGV[1]] then noteUnused(KEYS[2], ARGV[1]) end`;

/**
 * KEYS: versions. ARGV: since when it is unused, the field that says so, the version's fields.
 * Gives 0 when the version was put or deployed again, by which that field changes or goes.
 */
const REMOVE_VERSION = `
if redis.call("HGET", KEYS[1], ARGV[2]) ~= ARGV[1] then return 0 end
redis.call("HDEL", KEYS[1], unpack(ARGV, 2))
return 1`;

/** KEYS: versions. ARGV: version, its text before and from now on. Others may have changed it. */
const REPLACE_VERSION = `
if redis.call("HGET", KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[3])
return 1`;

/** KEYS: versions. ARGV: version, field, obstacle. Notes nothing of a version that is gone. */
const NOTE = `
if redis.call("HEXISTS", KEYS[1], ARGV[1]) == 1 then redis.call("HSET", KEYS[1], ARGV[2], ARGV[3]) end`;

/**
 * KEYS: functions, function, versions, secrets, functions with secrets, history, deleted versions,
 * signing keys, provisions. ARGV: name, changes channel, message, holder or nothing, channel of
 * changes of secrets, for how long calls may wait. Gives 1 when there was one, and it was the
 * holder's, if one is given: then its secrets and signing keys stay, for the next holder, too.
 */
const DELETE = `${FORGET_CANARIES}${NOTE_PROVISION}
if ARGV[4] ~= "" and redis.call("HGET", KEYS[2], "holder") ~= ARGV[4] then return 0 end
forgetCanaries(KEYS[2], ARGV[3])
local existed = redis.call("DEL", KEYS[2])
if existed == 1 and redis.call("EXISTS", KEYS[3]) == 1 then
  local fields = redis.call("HGETALL", KEYS[3])
  for index = 1, #fields, 2 do redis.call("HSET", KEYS[7], fields[index], fields[index + 1]) end
  redis.call("PEXPIRE", KEYS[7], ARGV[6])
end
redis.call("DEL", KEYS[3], KEYS[6])
noteProvision(KEYS[9], KEYS[3], ARGV[3], "")
redis.call("SREM", KEYS[1], ARGV[1])
if ARGV[4] == "" and existed == 1 then
  if redis.call("DEL", KEYS[4]) == 1 then redis.call("PUBLISH", ARGV[5], ARGV[3]) end
  redis.call("SREM", KEYS[5], ARGV[1])
  redis.call("DEL", KEYS[8])
end
if existed == 1 then redis.call("PUBLISH", ARGV[2], ARGV[3]) end
return existed`;

/** KEYS: functions, function. ARGV: name. Takes a name off the list whose function expired. */
const FORGET_EXPIRED = `
if redis.call("EXISTS", KEYS[2]) == 0 then redis.call("SREM", KEYS[1], ARGV[1]) end`;

export class Registry {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /**
   * Keeps a version, from now on for as long as the collection lets unused ones be. Versions are
   * immutable: keeping one again under the same digest replaces only what its build and its check
   * gave.
   * @returns since when it is unused, in milliseconds of Redis's clock: now; null when its function
   * runs it.
   */
  putVersion(version: Version): Promise<number | null> {
    return putVersion(this.#redis, version);
  }

  /**
   * The version of a call, which may have been admitted before its function was deleted; null when
   * there is none.
   */
  async versionOfCall(ref: VersionRef): Promise<Version | null> {
    const version = await this.getVersion(ref);
    if (version !== null) return version;
    const stored = await this.#redis.hget(deletedVersionsKey(ref), ref.version);
    return stored === null ? null : (JSON.parse(stored) as Version);
  }

  /** The one version of a function whose digest begins so; null when none or several do. */
  async versionBeginningWith(ref: FunctionRef, digits: string): Promise<Version | null> {
    const fields = await this.#redis.hkeys(versionsKey(ref));
    const [version, other] = fields.filter((field) => field.startsWith(digits) && !field.includes(":"));
    return version === undefined || other !== undefined ? null : this.getVersion({ ...ref, version });
  }

  /** A version, or null when there is none. */
  async getVersion(ref: VersionRef): Promise<Version | null> {
    const stored = await this.#redis.hget(versionsKey(ref), ref.version);
    return stored === null ? null : (JSON.parse(stored) as Version);
  }

  /**
   * Moves a function to a version that was put before, and makes the function when it is new.
   * Gateways are told. @param holder who holds the name, when somebody does.
   * @returns whether the function is new.
   * @throws SandpiperError VERSION_NOT_FOUND, NAME_HELD
   */
  async deployFunction(ref: VersionRef, holder = ""): Promise<boolean> {
    const move = { alias: LIVE, target: wholly(ref.version), kind: "deploy", by: "registry", holder } as const;
    return (await moveAlias(this.#redis, ref, move)).created;
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
      aliases: aliasesOf(stored),
      cellKeyOf: (alias) => cellKeyOf(stored, alias),
      noTemplateReason,
      isHeld: stored.holder !== undefined,
      createdAtMs: Number(stored.createdAtMs),
      updatedAtMs: Number(stored.updatedAtMs),
    };
  }

  /** The routes of those functions of a tenant that have some, by what is live. */
  routesOf(tenant: string): Promise<Record<string, string[]>> {
    return readLiveRoutes(this.#redis, tenant);
  }

  /** How many functions a tenant has. */
  countFunctions(tenant: string): Promise<number> {
    return this.#redis.scard(functionsKey(tenant));
  }

  /** All functions of a tenant, by name. */
  async listFunctions(tenant: string): Promise<FunctionState[]> {
    const names = (await this.#redis.smembers(functionsKey(tenant))).sort();
    const functions = await Promise.all(names.map((functionName) => this.#listed({ tenant, functionName })));
    return functions.filter((state) => state !== null);
  }

  async #listed(ref: FunctionRef): Promise<FunctionState | null> {
    const state = await this.getFunction(ref);
    const keys = [functionsKey(ref.tenant), functionKey(ref)];
    if (state === null) await this.#redis.eval(FORGET_EXPIRED, 2, ...keys, ref.functionName);
    return state;
  }

  /** Every function of every tenant that has versions, and those that left some behind. */
  async *functionsWithVersions(): AsyncGenerator<FunctionRef> {
    for await (const key of scanKeys(this.#redis, VERSIONS_PATTERN)) {
      const [, , tenant = "", functionName = ""] = key.split(":");
      yield { tenant, functionName };
    }
  }

  /** All versions of a function, the one that it runs among them. */
  async keptVersions(ref: FunctionRef): Promise<KeptVersion[]> {
    const both = this.#redis.multi().hgetall(functionKey(ref)).hgetall(versionsKey(ref));
    const [[, state] = [], [, fields] = []] = ((await both.exec()) ?? []) as [unknown, Record<string, string>?][];
    const stored = fields ?? {};
    const named = new Set(aliasesOf(state ?? {}).flatMap(({ routes }) => routes.map(({ version }) => version)));
    const digests = Object.keys(stored).filter((field) => !field.includes(":"));
    return digests.map((version) => {
      const { bundle, sourceMap, included, files } = JSON.parse(stored[version] ?? "") as Version;
      const [isCurrent, since] = [named.has(version), stored[unusedSinceField(version)]];
      const unusedSinceMs = isCurrent || since === undefined ? null : Number(since);
      const artifacts = [bundle, sourceMap, included ?? []].flat();
      return { version, artifacts, files: files.map(({ sha256 }) => sha256), isCurrent, unusedSinceMs };
    });
  }

  /**
   * Seals the environments of versions that are kept in clear, as they were once.
   * @param seal gives a version's environment as it is kept from now on
   * @returns how many versions.
   */
  async sealVersions(ref: FunctionRef, seal: (version: Version) => Promise<SealedEnv | undefined>): Promise<number> {
    const stored = await this.#redis.hgetall(versionsKey(ref));
    let count = 0;
    for (const [field, before] of Object.entries(stored)) {
      const version = field.includes(":") ? null : (JSON.parse(before) as Version);
      const env = version && Object.keys(version.config.env).length > 0 ? await seal(version) : undefined;
      if (version === null || env === undefined) continue;
      const text = JSON.stringify({ ...version, config: { ...version.config, env: {} }, env });
      count += Number(await this.#redis.eval(REPLACE_VERSION, 1, versionsKey(ref), field, before, text));
    }
    return count;
  }

  /** Notes that a version is unused from now on, unless its function runs it or it is noted. */
  async noteUnused(ref: VersionRef): Promise<void> {
    await this.#redis.eval(NOTE_IF_UNUSED, 2, functionKey(ref), versionsKey(ref), ref.version);
  }

  /**
   * Removes a version that its function has not run since then.
   * @returns false when it is gone, or was put or run again: then it stays.
   */
  async removeVersion(ref: VersionRef, unusedSinceMs: number): Promise<boolean> {
    const { version } = ref;
    const fields = [
      unusedSinceField(version),
      version,
      noTemplateReasonField(version),
      noteField(version),
      routesField(version),
    ];
    return (await this.#redis.eval(REMOVE_VERSION, 1, versionsKey(ref), unusedSinceMs, ...fields)) === 1;
  }

  /**
   * Removes a function with all its versions, its own secrets and its signing keys. Gateways are
   * told. Its artefacts stay in their store until they are collected: other functions may use the
   * same bytes.
   * @param holder when it is given, only a function that this process holds is removed.
   * @returns whether there was one.
   */
  async deleteFunction(ref: FunctionRef, holder = ""): Promise<boolean> {
    const existed = await this.#redis.eval(
      DELETE,
      9,
      functionsKey(ref.tenant),
      functionKey(ref),
      versionsKey(ref),
      secretsKey(ref),
      secretScopesKey(ref.tenant),
      historyKey(ref),
      deletedVersionsKey(ref),
      signingKeysKey(ref),
      PROVISIONS,
      ref.functionName,
      REGISTRY_CHANGES,
      `${ref.tenant}/${ref.functionName}`,
      holder,
      SECRET_CHANGES,
      KEEP_DELETED_MS,
    );
    return existed === 1;
  }
}
