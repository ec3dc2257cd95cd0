/**
 * A build: what a gateway asks of a worker when a version is deployed, and what comes of it. See
 * transport/invocation-queue.ts.
 */
import type { BundleContents } from "./bundle-contents.ts";
import type { BundleSettings } from "./bundling.ts";

/** How long a build may take, and wait for a worker, together. */
export const BUILD_LIMIT_MS = 120_000;

/** A bundle to be made of an uploaded source tree. */
export interface BuildRequest extends BundleSettings {
  tenant: string;
  functionName: string;
  /** Digest of the packed source tree (see sources.ts) in the tenant's store of sources. */
  sourceDigest: string;
  entry: string;
  /** Paths of the sources that are put beside the bundle, as files. */
  included: readonly string[];
}

/**
 * The result of a build: digests of what is now in the artefact store, or what is wrong: of sources
 * in the bundler's own words.
 */
export type BuildResult =
  | {
      ok: true;
      bundle: string;
      sourceMap: string;
      /** The files beside the bundle, packed (see sources.ts), when there are some. */
      included?: string;
      bundleBytes: number;
      /** Missing in results of before it was told. */
      contents?: BundleContents;
      /** Bytes that the build added to the artefact store; missing when all was there. */
      writtenBytes?: number;
      warnings: string[];
    }
  | { ok: false; cause: "sources" | "machine"; message: string };
