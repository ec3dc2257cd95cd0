/**
 * How a function's sources become one bundle, as data: the CLI uses these options to find the files
 * that a bundle needs, and the worker uses the very same to make the bundle, so that both resolve
 * every import alike.
 */

/**
 * First words of a bundle that is a CommonJS module; any other is an ES module. The runtime looks
 * for them (sandbox-core/protocol/frames.ts has the same).
 */
export const COMMONJS_MARK = "/* sandpiper: CommonJS */";

/**
 * The kind of an imported file, by its ending: code, a string (`text`) or a Uint8Array (`binary`).
 */
export const LOADERS = {
  ".txt": "text",
  ".md": "text",
  ".html": "text",
  ".sql": "text",
  ".csv": "text",
  ".bin": "binary",
  ".wasm": "binary",
  ".png": "binary",
  ".jpg": "binary",
  ".jpeg": "binary",
  ".gif": "binary",
  ".webp": "binary",
  ".ico": "binary",
  ".pdf": "binary",
  ".zip": "binary",
  ".gz": "binary",
  ".woff2": "binary",
  ".ttf": "binary",
  ".dat": "binary",
} as const;

/**
 * Modules that the runtime stands in for: of Cloudflare's, and the package by which functions of
 * Google Cloud register themselves, whose own server nothing here needs.
 */
const EXTERNAL = ["cloudflare:*", "@google-cloud/functions-framework"];

/**
 * CommonJS packages in an ES module bundle call `require` for Node's own modules. esbuild's shim
 * looks for a global one. The function is set on globalThis and not declared, so that a function
 * may declare a `require` of its own.
 */
const REQUIRE_BANNER =
  'globalThis.require ??= process.getBuiltinModule("node:module").createRequire("file:///function/index.mjs");';

/**
 * esbuild's options, in the names of its JavaScript API. Code endings (.ts .tsx .js .jsx .mjs .cjs
 * .json) are its defaults.
 */
export const BUNDLE_OPTIONS = {
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node24",
  jsx: "automatic",
  sourcemap: "inline",
  sourcesContent: false,
  banner: { js: REQUIRE_BANNER },
  loader: LOADERS,
  external: EXTERNAL,
} as const;

/**
 * The same options as arguments for esbuild's command line; the entry file and `--outfile` are the
 * caller's to add.
 */
export function bundleFlags(): string[] {
  return Object.entries(BUNDLE_OPTIONS).flatMap(([option, value]) => {
    const flag = `--${option.replace(/[A-Z]/g, (upper) => `-${upper.toLowerCase()}`)}`;
    if (value === true) return [flag];
    if (Array.isArray(value)) return value.map((one) => `${flag}:${one}`);
    if (typeof value !== "object") return [`${flag}=${value}`];
    return Object.entries(value).map(([key, inner]) => `${flag}:${key}=${inner}`);
  });
}
