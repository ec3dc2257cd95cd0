/**
 * Deletion of a tenant with everything that it has. The tenant is marked first: from then on no
 * gateway lets a call or a change of it begin, and whoever was about to write something looks at
 * the mark afterwards and removes what was written too late (`removeLeftovers`). A deletion that
 * broke off is carried on by whoever asks for it again, or by the next collection (gc.ts), which
 * also looks after deleted tenants until none of their calls can run any more.
 */
import type { Redis } from "ioredis";
import { NO_GRANTS } from "../model/egress-grants.ts";
import { SandpiperError } from "../model/errors.ts";
import { nothingRemoved, type Removed, type RemovedKind } from "../model/tenants.ts";
import { scanPages } from "../redis/scan.ts";
import type { FileArtifactStore } from "./artifacts.ts";
import { forgetCanariesOf } from "./canaries.ts";
import { forgetDomainsOf } from "./domains/domains.ts";
import { changeGrants, grantsOf } from "./egress-grants.ts";
import { KEY_TABLE, type KeyRow, matcherOf } from "./key-table.ts";
import { REGISTRY_CHANGES } from "./registry.ts";
import { operatorTenants, TENANTS } from "./tenant.ts";
import { removeRecords } from "./tenant-records.ts";
import { freeName, moveTenant, readStops } from "./tenant-states.ts";

/** The stores that a deletion works on. */
export interface DeletionParts {
  redis: Redis;
  artifacts: FileArtifactStore;
}

const FUNCTION_PATTERN = "sp:function:<tenant>:<function>";

/** Entries of a key, where they are not one. */
const ENTRIES: { [kind in RemovedKind]?: (redis: Redis, key: string) => Promise<number> } = {
  versions: async (redis, key) => (await redis.hkeys(key)).filter((field) => !field.includes(":")).length,
  secrets: (redis, key) => redis.hlen(key),
  domains: (redis, key) => redis.hlen(key),
  logEntries: (redis, key) => redis.xlen(key),
  auditEntries: (redis, key) => redis.xlen(key),
};

/**
 * Deletes a tenant. Safe beside anything that the tenant does, and to be repeated.
 * @returns what was removed, by this call alone.
 * @throws SandpiperError TENANT_NOT_FOUND; INVALID_REQUEST when it has an operator's key
 */
export async function deleteTenant(parts: DeletionParts, tenant: string): Promise<Removed> {
  const { redis } = parts;
  await refuseOperators(redis, tenant);
  await moveTenant(redis, tenant, "deleting");
  const removed = await removeLeftovers(parts, tenant);
  await redis.hdel(TENANTS, tenant);
  await moveTenant(redis, tenant, "deleted");
  return removed;
}

/** @throws SandpiperError INVALID_REQUEST when the tenant has an operator's key */
export async function refuseOperators(redis: Redis, tenant: string): Promise<void> {
  if (!(await operatorTenants(redis)).includes(tenant)) return;
  const message = `The tenant ${tenant} has an operator's key, and stays as it is: nobody could undo it.`;
  throw new SandpiperError("INVALID_REQUEST", { message });
}

/** Removes what a tenant has that is being deleted, or was. */
export async function removeLeftovers({ redis, artifacts }: DeletionParts, tenant: string): Promise<Removed> {
  const removed = nothingRemoved();
  if ((await grantsOf(redis, tenant)) !== NO_GRANTS) removed.grants += 1;
  // Gateways and workers are told.
  await changeGrants(redis, tenant, () => null);
  removed.records += await removeRecords(redis, tenant);
  await removeKeys(redis, tenant, removed);
  await forgetCanariesOf(redis, tenant);
  await forgetDomainsOf(redis, tenant);
  for (const { pattern } of KEY_TABLE.filter(({ owner }) => owner === "field")) await redis.hdel(pattern, tenant);
  for (const { pattern } of KEY_TABLE.filter(({ owner }) => owner === "fields")) {
    const fields = (await redis.hkeys(pattern)).filter((field) => /^[^ /]*/.exec(field)?.[0] === tenant);
    if (fields.length > 0) await redis.hdel(pattern, ...fields);
  }
  removed.sourceFiles += await artifacts.removeSourcesOf(tenant);
  return removed;
}

/**
 * Carries on deletions that broke off, and removes what calls of deleted tenants wrote when they
 * ended. @param goOn called before each tenant
 */
export async function finishDeletions(parts: DeletionParts, goOn: () => Promise<void>): Promise<void> {
  for (const [tenant, { state }] of await readStops(parts.redis)) {
    if (state === "suspended") continue;
    await goOn();
    if (state === "deleting") await deleteTenant(parts, tenant);
    else await removeLeftovers(parts, tenant);
    await freeName(parts.redis, tenant);
  }
}

interface OwnedRow extends KeyRow {
  matcher: RegExp;
}

async function removeKeys(redis: Redis, tenant: string, removed: Removed): Promise<void> {
  const rows: OwnedRow[] = KEY_TABLE.filter(({ owner }) => owner === "tenant" || owner === "record").map((row) => ({
    ...row,
    matcher: matcherOf(row.pattern, tenant),
  }));
  for await (const keys of scanPages(redis, "sp:*")) {
    for (const key of new Set(keys)) {
      const row = rows.find(({ matcher }) => matcher.test(key));
      if (row !== undefined && (row.owner === "tenant" || (await isOf(redis, key, tenant)))) {
        await removeKey(redis, key, row, removed);
      }
    }
  }
}

async function isOf(redis: Redis, key: string, tenant: string): Promise<boolean> {
  const text = await redis.get(key);
  return text !== null && (JSON.parse(text) as { tenant: string }).tenant === tenant;
}

async function removeKey(redis: Redis, key: string, { counts, pattern }: KeyRow, removed: Removed): Promise<void> {
  const entries = counts === undefined ? 0 : await (ENTRIES[counts]?.(redis, key) ?? 1);
  // Another who removes it at the same moment counts it.
  if ((await redis.unlink(key)) === 0) return;
  removed.redisKeys += 1;
  if (counts !== undefined) removed[counts] += entries;
  const [, , tenant, functionName] = key.split(":");
  if (pattern === FUNCTION_PATTERN) await redis.publish(REGISTRY_CHANGES, `${tenant}/${functionName}`);
}
