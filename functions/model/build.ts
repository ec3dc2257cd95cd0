/**
 * A build: what a gateway asks of a worker when a version is deployed, and what comes of it. See
 * transport/invocation-queue.ts.
 */
import type { FunctionConfig } from "./manifest.ts";

/** How long a build may take, and wait for a worker, together. */
export const BUILD_LIMIT_MS = 120_000;

/** A bundle to be made of an uploaded source tree. */
export interface BuildRequest {
  tenant: string;
  functionName: string;
  /** Digest of the packed source tree (see sources.ts) in the artefact store. */
  sourceDigest: string;
  entry: string;
  /** Without the values of `env`, which no build needs. */
  config: FunctionConfig;
}

/**
 * The result of a build: digests of what is now in the artefact store, or what is wrong: of sources
 * in the bundler's own words.
 */
export type BuildResult =
  | { ok: true; bundle: string; sourceMap: string; bundleBytes: number; warnings: string[] }
  | { ok: false; cause: "sources" | "machine"; message: string };
