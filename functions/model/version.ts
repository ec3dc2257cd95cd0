/** A version: immutable, content-addressed code and configuration of a function. */
import { createHash } from "node:crypto";
import type { BundleContents } from "./bundle-contents.ts";
import type { FunctionConfig } from "./manifest.ts";

/**
 * One uploaded source file: its path relative to the source root and the SHA-256 of its bytes in
 * hex.
 */
export interface SourceFile {
  path: string;
  sha256: string;
  bytes: number;
}

export interface Version {
  tenant: string;
  functionName: string;
  /** Digest of configuration and sources, see `versionDigest`. */
  version: string;
  /** Its `env` is empty: see below. In versions of before it was sealed, `env` is in clear. */
  config: FunctionConfig;
  /** The configured `env`, where there is some. */
  env?: SealedEnv;
  /** Path of the entry file relative to the source root. */
  entry: string;
  files: SourceFile[];
  /** Digest of the bundle in the artefact store, and of its source map. */
  bundle: string;
  sourceMap: string;
  /** That of the files beside the bundle, packed (see sources.ts), when there are some. */
  included?: string;
  bundleBytes: number;
  /** Contents of the bundle; missing in versions of before these were kept. */
  contents?: BundleContents;
  createdAtMs: number;
  /** The bundler's; missing in versions of before they were kept. */
  warnings?: string[];
  /** What loading the version in a sandbox found out; missing when it was deployed unchecked. */
  found?: FoundHandler;
}

/** An environment as it is kept: names for whoever looks, values for workers alone. */
export interface SealedEnv {
  names: string[];
  /** See store/secrets.ts. */
  sealed: string;
}

/** Names of the variables that a version's configuration sets. */
export function envNamesOf({ config, env }: Version): string[] {
  return env?.names ?? Object.keys(config.env);
}

/** All that is to be said about a version: by the bundler, and of what its module has. */
export function warningsOf({ warnings = [], found }: Version): string[] {
  return [...warnings, ...(found?.warnings ?? [])];
}

/** Facts about a version's module. Text of the tenant's: escape it before showing it. */
export interface FoundHandler {
  /** The handler in words: "fetch", "lambda (hello)". */
  handler: string;
  /** What the module has and does not get here, a sentence each. */
  warnings: string[];
}

/** Where a function's directory is below the root of its sources, and which files it includes. */
export interface FunctionPlace {
  directory: string;
  included: readonly string[];
}

/**
 * The content address of a version: SHA-256 over the configuration, the entry and the digest of
 * every file, in a canonical order. The same input gives the same version on every machine.
 * @param config in the place of the values of `env` it has a fingerprint of them, which tells
 * nothing of them
 */
export function versionDigest(
  config: FunctionConfig,
  entry: string,
  files: readonly Pick<SourceFile, "path" | "sha256">[],
  { directory, included }: FunctionPlace = { directory: "", included: [] },
): string {
  const place = directory === "" && included.length === 0 ? [] : [directory, [...included].sort()];
  const sorted = files.map(({ path, sha256 }) => [path, sha256]).sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
  return createHash("sha256")
    .update(JSON.stringify([canonical(config), entry, sorted, ...place]))
    .digest("hex");
}

/** The same value with the keys of every object sorted, so that equal values have equal JSON. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, canonical(inner)]),
  );
}
