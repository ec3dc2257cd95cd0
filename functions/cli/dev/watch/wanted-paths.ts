/**
 * The paths of which a change may change the bundle and what lies beside it: its files, files that
 * would be found before them, those that an import looked for and did not find, and those that
 * `include` may mean.
 */
import { existsSync } from "node:fs";
import { dirname, isAbsolute, join, resolve, sep } from "node:path";
import type { ImportEdge } from "../../upload/bundle-inputs.ts";
import { ancestors } from "../../upload/resolution-files.ts";
import { IncludedPlaces } from "./included-places.ts";
import type { UnresolvedImport } from "./incremental-bundle.ts";

/** Files beside sources that decide how imports resolve, there or not. */
const RESOLUTION_FILES = ["package.json", "tsconfig.json", "jsconfig.json"];

export interface WantedSources {
  /** The function's directory. */
  directory: string;
  /** Absolute paths of everything that was read. */
  files: readonly string[];
  imports: readonly ImportEdge[];
  unresolved: readonly UnresolvedImport[];
  /** Patterns of files that lie beside the bundle. */
  include: readonly string[];
}

export class WantedPaths {
  /** Directories to watch; some may not be there yet. */
  readonly directories = new Set<string>();
  readonly #files = new Set<string>();
  /** Paths as imports name them: `./x` is `x.ts`, `x.js`, or a directory. */
  readonly #places = new Set<string>();
  /** Directories on the way to what is wanted. */
  readonly #ways = new Set<string>();
  readonly #included: IncludedPlaces;

  constructor({ directory, files, imports, unresolved, include }: WantedSources) {
    this.#included = new IncludedPlaces(directory, include);
    for (const place of this.#included.directories) this.directories.add(place);
    const outermost = projectOf(directory);
    for (const file of files) this.#want(this.#files, file, outermost);
    const own = files.filter((file) => !file.includes(`${sep}node_modules${sep}`));
    for (const at of new Set(own.flatMap((file) => ancestors(dirname(file), outermost)))) {
      for (const name of RESOLUTION_FILES) this.#want(this.#files, join(at, name), outermost);
    }
    const looked = imports.filter(({ importer }) => !importer.includes(`${sep}node_modules${sep}`));
    for (const { importer, specifier } of looked) {
      if (isRelative(specifier)) this.#want(this.#places, stem(resolve(dirname(importer), specifier)), outermost);
    }
    for (const edge of unresolved) {
      for (const place of placesOf(edge, outermost)) this.#want(this.#places, stem(place), outermost);
    }
  }

  /** Whether a change of this name in a directory may change the bundle. */
  has(directory: string, name: string): boolean {
    const path = join(directory, name);
    const isPlace = this.#places.has(path) || this.#places.has(stem(path));
    return isPlace || this.#files.has(path) || this.#ways.has(path) || this.#included.has(path);
  }

  /** Ways that end outside of the project begin at the file's own directory. */
  #want(set: Set<string>, path: string, outermost: string): void {
    if (set.has(path)) return;
    set.add(path);
    const at = dirname(path);
    const isInside = at === outermost || at.startsWith(`${outermost}${sep}`);
    const ways = isInside ? ancestors(at, outermost) : [at];
    for (const way of ways) {
      this.#ways.add(way);
      this.directories.add(way);
    }
    // Where the outermost directory itself is replaced.
    if (isInside) this.directories.add(dirname(outermost));
  }
}

/** The outermost directory around the function that is one project with it. */
function projectOf(directory: string): string {
  const isProject = (at: string) => existsSync(join(at, "package.json")) || existsSync(join(at, ".git"));
  return ancestors(directory).findLast(isProject) ?? directory;
}

function placesOf({ importer, specifier }: UnresolvedImport, outermost: string): string[] {
  if (isAbsolute(specifier)) return [specifier];
  if (isRelative(specifier)) return [resolve(dirname(importer), specifier)];
  if (specifier.includes(":") || specifier.startsWith("#")) return [];
  const name = /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
  const packages = ancestors(dirname(importer), outermost).map((at) => join(at, "node_modules", name));
  // The `main` of a package may lead anywhere below, whichever package manager put it there.
  return packages.flatMap((place) => [place, join(place, "package.json")]);
}

function isRelative(specifier: string): boolean {
  return /^\.\.?(\/|$)/.test(specifier);
}

/** The path without an ending that imports of code leave out, or write differently. */
function stem(path: string): string {
  return path.replace(/(?<=[^/])\.(?:[cm]?[jt]sx?|json|css)$/, "");
}
