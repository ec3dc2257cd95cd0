/**
 * The steps that move data from one form to the next. A change of what keys hold, which this
 * Sandpiper could not read or must not leave as it was, is a new row at the end.
 *
 * - A step may be done again, wholly or in part: whoever did it may have ended on the way.
 * - Gateways and workers of the version before run until they are replaced. So readers bear the
 *   form before, and a step leaves what such a process can read.
 */
import type { Redis } from "ioredis";
import { LIVE, wholly } from "../../model/alias.ts";
import { scanKeys } from "../../redis/scan.ts";
import type { DataKeys } from "../data-keys.ts";
import { functionKey } from "../function-keys.ts";
import { Registry } from "../registry.ts";
import { sealClearVersions } from "../seal-versions.ts";
import { SecretStore } from "../secrets.ts";
import { indexOf, keyOf, type StoredKey } from "../tenant.ts";

/** Parts of a step. */
export interface FormParts {
  redis: Redis;
  dataKeys: DataKeys;
}

export interface FormStep {
  from: number;
  to: number;
  /** What is changed, for the log: "environments of versions sealed". */
  what: string;
  /** @returns how much was changed */
  move(parts: FormParts): Promise<number>;
}

/** The form of data from before forms had numbers. */
export const FIRST_FORM = 1;

export const STEPS: readonly FormStep[] = [
  { from: 1, to: 2, what: "environments of versions sealed", move: sealEnvironments },
  { from: 2, to: 3, what: "API keys listed with their tenants", move: listKeys },
  { from: 3, to: 4, what: "aliases `live` written", move: writeLiveAliases },
];

/** The form of the data of this Sandpiper. */
export const DATA_FORM = 4;

function sealEnvironments({ redis, dataKeys }: FormParts): Promise<number> {
  return sealClearVersions(redis, new Registry(redis), new SecretStore(redis, dataKeys));
}

/** Keys were not listed once, so that nobody could see or end them. */
async function listKeys({ redis }: FormParts): Promise<number> {
  let count = 0;
  for await (const key of scanKeys(redis, keyOf("*"))) {
    const text = await redis.get(key);
    if (text === null) continue;
    const { tenant } = JSON.parse(text) as StoredKey;
    count += await redis.hsetnx(indexOf(tenant), key.slice(keyOf("").length), "");
  }
  return count;
}

/**
 * KEYS: function. ARGV: the alias's field, its target without the version's digest, in two parts,
 * the revision's field.
 */
const WRITE_LIVE = `
local version = redis.call("HGET", KEYS[1], "version")
if not version or redis.call("HSETNX", KEYS[1], ARGV[1], ARGV[2] .. version .. ARGV[3]) == 0 then return 0 end
redis.call("HSETNX", KEYS[1], ARGV[4], "0")
return 1`;

async function writeLiveAliases({ redis }: FormParts): Promise<number> {
  const [before = "", behind = ""] = JSON.stringify(wholly("?")).split("?");
  let count = 0;
  for await (const key of scanKeys(redis, functionKey({ tenant: "*", functionName: "*" }))) {
    const words = [`alias:${LIVE}`, before, behind, `revision:${LIVE}`];
    count += Number(await redis.eval(WRITE_LIVE, 1, key, ...words));
  }
  return count;
}
