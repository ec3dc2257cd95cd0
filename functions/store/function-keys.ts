/** The keys of functions and their versions in Redis. */
import type { VersionRef } from "../model/invocation.ts";

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
