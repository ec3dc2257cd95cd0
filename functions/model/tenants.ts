/** Tenants as operators see them. */

/**
 * `suspended`: calls and changes are refused, and all stays. `deleting`: what the tenant has is
 * being removed. `deleted`: nothing is left, and the name is not free yet.
 */
export const TENANT_STATES = ["active", "suspended", "deleting", "deleted"] as const;
export type TenantState = (typeof TENANT_STATES)[number];

/** A tenant that is not active, and since when, as Unix time in milliseconds of Redis's clock. */
export interface TenantStop {
  state: Exclude<TenantState, "active">;
  sinceMs: number;
}

/**
 * A tenant's part beside others that want more than there is: of places for calls, and of
 * processors. One with twice the weight of another gets twice as much.
 */
export const USUAL_WEIGHT = 100;
export const MAX_WEIGHT = 1_000;

/** Names of what a deletion counts, in the order in which it is shown. */
export const REMOVED_KINDS = [
  "functions",
  "versions",
  "secrets",
  "keys",
  "grants",
  "domains",
  "records",
  "logEntries",
  "traces",
  "auditEntries",
  "sourceFiles",
] as const;
export type RemovedKind = (typeof REMOVED_KINDS)[number];

/** Counts of what a deletion removed: by kind, and all keys of Redis that are gone with it. */
export type Removed = Record<RemovedKind, number> & { redisKeys: number };

/** A count of nothing yet. */
export function nothingRemoved(): Removed {
  const kinds = Object.fromEntries(REMOVED_KINDS.map((kind) => [kind, 0])) as Record<RemovedKind, number>;
  return { ...kinds, redisKeys: 0 };
}
