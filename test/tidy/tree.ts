/** The tree as it is, for the rules to look at: everything that is or could be committed. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseSource, type Source } from "./source.ts";
import type { TextFile } from "./text.ts";

const ROOT = resolve(import.meta.dirname, "../..");

/** Where a path from the root lies. */
export function atRoot(path: string): string {
  return join(ROOT, path);
}

export function readText(path: string): string {
  return readFileSync(atRoot(path), "utf8");
}

export const paths: readonly string[] = execFileSync(
  "git",
  ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
  { cwd: ROOT },
)
  .toString()
  .split("\0")
  .filter((path) => path !== "" && existsSync(atRoot(path)));

/** Functions as others write them, which no rule of ours is for. */
const isOfOthers = (path: string) => path.startsWith("test/corpus/cases/");
const isText = (path: string) => /\.(ts|tsx|mjs|js|jsx|json|jsonc|md|sh|service|txt)$|^\.ci\/run$/.test(path);
export const files: readonly TextFile[] = paths
  .filter((path) => isText(path) && !isOfOthers(path))
  .map((path) => ({ path, text: readText(path) }));
export const documents: readonly TextFile[] = files.filter(({ path }) => path.endsWith(".md"));

const isCode = (path: string) => /\.(ts|tsx|mjs)$/.test(path) && !path.includes("/fixtures/bad/");
export const sources: readonly Source[] = files
  .filter(({ path }) => isCode(path))
  .map(({ path, text }) => parseSource(path, text));
