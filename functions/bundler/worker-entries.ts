/** Modules that others start as threads: `new Worker(new URL("./w.js", import.meta.url))`. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join, posix } from "node:path";

/** By a URL beside the module, or by a path that begins with the module's directory. */
const BY_URL =
  /\bnew\s+(?:[\w$]+\.)?Worker\s*\(\s*new\s+URL\s*\(\s*(["'`])([^"'`$\n]+)\1\s*,\s*import\.meta\.url\s*\)/g;
const BY_PATH =
  /\bnew\s+(?:[\w$]+\.)?Worker\s*\(\s*(?:[\w$]+\.)?(?:join|resolve)\s*\(\s*(?:__dirname|import\.meta\.dirname)\s*,\s*(["'`])([^"'`$\n]+)\1\s*\)/g;
const ITSELF =
  /\bnew\s+(?:[\w$]+\.)?Worker\s*\(\s*(?:__filename|import\.meta\.filename|new\s+URL\s*\(\s*import\.meta\.url\s*\))/;

const CODE_ENDING = /\.[cm]?[jt]sx?$/;
const IN_PACKAGE = /(?:^|\/)node_modules\//;

/**
 * Paths, below the root, of the modules that these files start as threads, as far as they are
 * there. Files of packages are not looked at.
 */
export function workerEntries(root: string, files: readonly string[]): string[] {
  const found = new Set<string>();
  for (const file of files) {
    // A name with a backslash is not that of a file, as esbuild writes it.
    if (!CODE_ENDING.test(file) || IN_PACKAGE.test(file) || !isFile(join(root, file))) continue;
    const text = readFileSync(join(root, file), "utf8");
    if (!text.includes("Worker")) continue;
    if (ITSELF.test(text)) found.add(file);
    for (const [, , path = ""] of [...text.matchAll(BY_URL), ...text.matchAll(BY_PATH)]) {
      const target = posix.join(posix.dirname(file), path);
      if (CODE_ENDING.test(target) && isFile(join(root, target))) found.add(target);
    }
  }
  return [...found];
}

function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}
