/**
 * How a function's sources become one bundle. This folder runs in the command line, which finds the
 * files that a bundle needs, and as a program in a sandbox, which makes the bundle: so both resolve
 * every import alike.
 */
import type { BuildOptions } from "esbuild";

/**
 * The kind of an imported file, by its ending: code, a string (`text`) or a Uint8Array (`binary`).
 */
export const LOADERS = {
  ".txt": "text",
  ".md": "text",
  ".html": "text",
  ".css": "text",
  ".svg": "text",
  ".xml": "text",
  ".yaml": "text",
  ".yml": "text",
  ".graphql": "text",
  ".gql": "text",
  ".hbs": "text",
  ".ejs": "text",
  ".mustache": "text",
  ".sql": "text",
  ".csv": "text",
  ".bin": "binary",
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
export const RUNTIME_MODULES = ["cloudflare:*", "@google-cloud/functions-framework"];

/**
 * CommonJS packages in an ES module call `require` for Node's own modules. esbuild's shim looks for
 * a global one, which threads have not. The function is set on globalThis and not declared, so that
 * a function may declare a `require` of its own.
 */
export const REQUIRE_BANNER =
  'globalThis.require ??= process.getBuiltinModule("node:module").createRequire("file:///function/index.mjs");';

/**
 * esbuild's options that are the same for every bundle. Code endings (.ts .tsx .js .jsx .mjs .cjs
 * .json) are its defaults.
 */
export const BUNDLE_OPTIONS = {
  bundle: true,
  platform: "node",
  target: "node24",
  jsx: "automatic",
  sourcemap: "external",
  sourcesContent: false,
  loader: { ...LOADERS },
  metafile: true,
  write: false,
  outdir: ".",
  logLevel: "silent",
} as const satisfies BuildOptions;
