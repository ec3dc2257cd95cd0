/** Where files may come that `include` means: patterns name files that are not there yet. */
import { lstatSync, readdirSync } from "node:fs";
import { join, matchesGlob, relative, sep } from "node:path";
import { fixedPartsOf, isExclusion, isMeant } from "../../upload/included-paths.ts";

/** Most directories that are watched for files of `include`. */
const MOST_DIRECTORIES = 2_000;
const SKIPPED = new Set(["node_modules", ".git"]);

export class IncludedPlaces {
  /** Directories in which a file that is meant may come. */
  readonly directories: readonly string[];
  readonly #known: ReadonlySet<string>;
  readonly #directory: string;
  readonly #patterns: readonly string[];

  /** @param directory the function's, free of symbolic links. */
  constructor(directory: string, patterns: readonly string[]) {
    this.#directory = directory;
    this.#patterns = patterns;
    const found = new Set<string>();
    for (const pattern of patterns.filter((one) => !isExclusion(one))) {
      const base = join(directory, ...fixedPartsOf(pattern));
      for (let at = base; at.startsWith(`${directory}${sep}`); at = join(at, "..")) found.add(join(at, ".."));
      addAllBelow(base, found);
    }
    this.#known = found;
    this.directories = [...found];
  }

  /** Whether a file of this path is meant, or it is a directory that may hold some. */
  has(path: string): boolean {
    const below = relative(this.#directory, path).split(sep).join("/");
    if (below === "" || below.startsWith("../") || SKIPPED.has(below.split("/").at(-1) ?? "")) return false;
    return isMeant(below, this.#patterns) || (this.#isDirectory(path) && this.#patterns.some(mayHold(below)));
  }

  #isDirectory(path: string): boolean {
    return this.#known.has(path) || (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false);
  }
}

/** Whether a directory of this path may be on the way to what a pattern means. */
function mayHold(path: string): (pattern: string) => boolean {
  const depth = path.split("/").length;
  return (pattern) => {
    const parts = pattern.split("/").filter((part) => part !== "" && part !== ".");
    const isBelow = parts.slice(0, depth).includes("**");
    return isBelow || matchesGlob(path, parts.slice(0, depth).join("/"));
  };
}

/** Adds a directory and those below it; links are not followed. */
function addAllBelow(base: string, found: Set<string>): void {
  const todo = [base];
  for (let at = todo.pop(); at !== undefined && found.size < MOST_DIRECTORIES; at = todo.pop()) {
    const entries = entriesOf(at);
    if (entries === null) continue;
    found.add(at);
    for (const entry of entries) if (entry.isDirectory() && !SKIPPED.has(entry.name)) todo.push(join(at, entry.name));
  }
}

/** null where there is no directory, or none that can be read. */
function entriesOf(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return null;
  }
}
