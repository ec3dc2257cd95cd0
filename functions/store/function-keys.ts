/** The keys of functions, their versions and their secrets in Redis. */
import type { VersionRef } from "../model/invocation.ts";
import type { SecretScope } from "../model/secrets.ts";

/** Names one function of one tenant. */
export type FunctionRef = Pick<VersionRef, "tenant" | "functionName">;

/** The set of a tenant's functions. */
export const functionsKey = (tenant: string): string => `sp:functions:${tenant}`;

/** The hash of what a function is now: its version, and who holds it. */
export const functionKey = ({ tenant, functionName }: FunctionRef): string => `sp:function:${tenant}:${functionName}`;

/**
 * The hash of all versions of a function, and of what was found out about them, so that all goes
 * when the function goes.
 */
export const versionsKey = ({ tenant, functionName }: FunctionRef): string => `sp:versions:${tenant}:${functionName}`;

/** In that hash the field of what a version's last deployment said about it. */
export const noteField = (version: string): string => `${version}:note`;

/** The hash of a function's secrets, or of its tenant's. */
export const secretsKey = ({ tenant, functionName }: SecretScope): string =>
  functionName === null ? `sp:secrets:${tenant}` : `sp:secrets:${tenant}:${functionName}`;

/** The set of a tenant's functions that have secrets of their own. */
export const secretScopesKey = (tenant: string): string => `sp:secretscopes:${tenant}`;

/** The hash of a function's keys for signed URLs, sealed, and which one is current. */
export const signingKeysKey = ({ tenant, functionName }: FunctionRef): string =>
  `sp:signingkeys:${tenant}:${functionName}`;

/**
 * Where it is said that secrets changed; the message is "tenant/function", or "tenant/" for those
 * of a tenant.
 */
export const SECRET_CHANGES = "sp:secrets:changes";

/** The list of acts on a function, latest first. */
export const historyKey = ({ tenant, functionName }: FunctionRef): string => `sp:history:${tenant}:${functionName}`;

/** The hash of a deleted function's versions, for calls that were admitted before. */
export const deletedVersionsKey = ({ tenant, functionName }: FunctionRef): string =>
  `sp:deletedversions:${tenant}:${functionName}`;

/**
 * Where the registry says that a function changed or is gone; the message is "tenant/function".
 */
export const REGISTRY_CHANGES = "sp:registry:changes";
