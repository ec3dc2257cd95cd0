/** What a bundle of a function is, as data that command line, gateway and worker share. */

/**
 * Where a function's directory is inside of its sandbox: the files of `include` are there, and its
 * modules believe to be.
 */
export const FUNCTION_DIRECTORY = "/function";

/**
 * First words of a bundle that is a CommonJS module; any other is an ES module. The runtime looks
 * for them (sandbox-core/protocol/frames.ts has the same).
 */
export const COMMONJS_MARK = "/* sandpiper: CommonJS */";

/** Value of `process.env.NODE_ENV` in bundles, unless `env` of a function says otherwise. */
export const DEFAULT_NODE_ENV = "production";

/** Most files beside a bundle, and their bytes together: each is written to a worker's disk. */
export const MAX_INCLUDED_FILES = 2_000;
export const MAX_INCLUDED_BYTES = 32 * 1024 * 1024;

/** Settings that decide over a bundle besides the sources. */
export interface BundleSettings {
  /** The function's directory below the root of the sources, "" when it is the root. */
  directory: string;
  /** Names of packages that stay outside of the bundle. */
  external: readonly string[];
  nodeEnv: string;
}
