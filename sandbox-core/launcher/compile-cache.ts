/**
 * Where Node keeps what it made of our modules (https://nodejs.org/api/module.html, "Module compile
 * cache"): types stripped, compiled. A zygote that finds it starts in half the time, and never
 * loads what strips types, some 25 MB in 50 mappings that every fork would copy.
 */
import { mkdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Beside the code itself: whoever may write there could change the code as well. */
const DIRECTORY = fileURLToPath(new URL("../../node_modules/.cache/sandpiper/", import.meta.url));
const WRITABLE_BY_OTHERS = 0o022;

/**
 * The directory, made if need be; undefined where others could write to it, or it cannot be made.
 */
export function compileCacheDirectory(): string | undefined {
  try {
    mkdirSync(DIRECTORY, { recursive: true, mode: 0o700 });
    const { uid, mode } = statSync(DIRECTORY);
    return uid === process.getuid?.() && (mode & WRITABLE_BY_OTHERS) === 0 ? DIRECTORY : undefined;
  } catch {
    return undefined; // A code tree that cannot be written to: the zygote starts as it would the first time.
  }
}

/**
 * Flags for a Node that shall use the cache from its first module on, and that leave its
 * environment empty.
 */
export function compileCacheFlags(): string[] {
  const directory = compileCacheDirectory();
  if (directory === undefined) return [];
  const enable = `import { enableCompileCache } from "node:module"; enableCompileCache(${JSON.stringify(directory)});`;
  return ["--import", `data:text/javascript,${encodeURIComponent(enable)}`];
}
