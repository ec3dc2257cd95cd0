/**
 * A check of a version: a worker loads it in a sandbox before it goes live. What a gateway asks of
 * a worker, and what comes back.
 */
import type { VersionRef } from "./invocation.ts";
import type { FoundHandler } from "./version.ts";

/** How long a check may take, and wait for a worker, together. */
export const CHECK_LIMIT_MS = 120_000;

/** The version is in the registry, and so is its environment: no secret travels with the job. */
export type CheckRequest = VersionRef;

/**
 * The result of a check. `message` says what the function is to blame for, by its own files and
 * lines, or what the machine is; the former is text of the tenant's.
 */
export type CheckResult =
  | { ok: true; found: FoundHandler }
  | { ok: false; cause: "function" | "machine"; message: string };
