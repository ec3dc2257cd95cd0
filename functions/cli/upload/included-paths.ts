/** The files that `include` means. */
import { lstatSync, realpathSync } from "node:fs";
import { glob } from "node:fs/promises";
import { join, matchesGlob, posix, sep } from "node:path";

/** What nobody wants beside a function, whatever a pattern says: secrets, and what is about it. */
const NEVER = ["sandpiper.jsonc", ".sandpiper-schema.json", "**/.env", "**/.env.*", "**/.git/**", "**/.npmrc"];
/** Meant only by a pattern that names it. */
const PACKAGES = "node_modules";
const HINT = "patterns are relative to this file's directory; links, .env and sandpiper.jsonc are never included";
const EVERYTHING_BELOW = /^(.*?)\/?$/;

/** Words an error about the pattern of that index. */
export type WrongPattern = (index: number, message: string, hint: string) => Error;

/**
 * Absolute paths of the files that fit a pattern and are no links, in their order. A pattern that
 * names a directory means all below it.
 * @throws what `wrong` makes of a pattern that fits nothing
 */
export async function includedPaths(
  directory: string,
  patterns: readonly string[],
  wrong: WrongPattern,
): Promise<string[]> {
  const excluded = exclusionsOf(patterns);
  const found = new Set<string>();
  for (const [index, pattern] of patterns.entries()) {
    if (isExclusion(pattern)) continue;
    const paths = await filesOf(directory, pattern, excluded);
    if (paths.length === 0) throw wrong(index, "no file fits this pattern", HINT);
    for (const path of paths) found.add(path);
  }
  return [...found].sort().map((path) => join(directory, path));
}

/** Whether a file of that path below the function's directory would be meant, there or not. */
export function isMeant(path: string, patterns: readonly string[]): boolean {
  const fits = (pattern: string) => matchesGlob(path, pattern);
  const meant = patterns.filter((pattern) => !isExclusion(pattern)).flatMap(withContents);
  return (meant.includes(path) || meant.some(fits)) && !exclusionsOf(patterns).some(fits);
}

/** The longest beginning of a pattern that is a path, as its parts. */
export function fixedPartsOf(pattern: string): string[] {
  const parts = pattern.split("/").filter((part) => part !== "" && part !== ".");
  const first = parts.findIndex((part) => /[*?[\]{}()!+@]/.test(part));
  return first === -1 ? parts : parts.slice(0, first);
}

function exclusionsOf(patterns: readonly string[]): string[] {
  return [...NEVER, ...patterns.filter(isExclusion).flatMap((pattern) => withContents(pattern.slice(1)))];
}

export function isExclusion(pattern: string): boolean {
  return pattern.startsWith("!");
}

async function filesOf(directory: string, pattern: string, excluded: readonly string[]): Promise<string[]> {
  const paths = new Set<string>();
  const isLeftOut = (path: string) => excluded.some((one) => matchesGlob(path, one));
  const wantsPackages = pattern.split("/").includes(PACKAGES);
  const exclude = (path: string) => !wantsPackages && path.split(sep).includes(PACKAGES);
  // Names that look like patterns ("[id].html") are names first.
  const named = posix.normalize(pattern);
  if (!isLeftOut(named) && isOwnFile(directory, named)) paths.add(named);
  for (const one of withContents(pattern)) {
    for await (const path of glob(one, { cwd: directory, exclude })) {
      if (!isLeftOut(path) && isOwnFile(directory, path)) paths.add(path);
    }
  }
  return [...paths];
}

function withContents(pattern: string): string[] {
  const [, plain = pattern] = EVERYTHING_BELOW.exec(pattern) ?? [];
  return [plain, `${plain}/**`];
}

/** Whether it is a file, and no link is on the way: one could lead anywhere. */
function isOwnFile(directory: string, path: string): boolean {
  const file = join(directory, path);
  return (lstatSync(file, { throwIfNoEntry: false })?.isFile() ?? false) && realpathSync(file) === file;
}
