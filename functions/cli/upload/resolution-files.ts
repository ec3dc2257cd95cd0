/**
 * The files that are not bundled and yet decide what is: every package.json and tsconfig.json that
 * resolution reads.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, resolve, sep } from "node:path";
import { parse } from "jsonc-parser";
import type { ImportEdge } from "./bundle-inputs.ts";

/**
 * The directory itself and each directory above it, nearest first, down to and including `root`
 * when it is given.
 */
export function ancestors(directory: string, root?: string): string[] {
  const all = [directory];
  for (let at = directory; at !== root && at !== dirname(at); ) {
    at = dirname(at);
    all.push(at);
  }
  return all;
}

/** The package.json files between each input and the root. */
export function packageFiles(inputs: readonly string[], root: string): string[] {
  const directories = new Set(inputs.flatMap((input) => ancestors(dirname(input), root)));
  return [...directories].map((directory) => join(directory, "package.json")).filter(isFile);
}

/**
 * The package.json of each directory that was imported by its own name: its `main` says which file
 * is meant.
 */
export function directoryPackageFiles(imports: readonly ImportEdge[]): string[] {
  const files = imports.flatMap(({ importer, specifier }) =>
    lookupPlaces(importer, specifier).map((place) => join(place, "package.json")),
  );
  return [...new Set(files)].filter(isFile);
}

/**
 * The tsconfig.json that applies to each input, with all it extends. The file may lie above
 * everything else: its `paths` and its JSX settings count for the files below it. Packages under
 * node_modules have none, as esbuild sees it.
 */
export function tsconfigFiles(inputs: readonly string[]): string[] {
  const found = new Set<string>();
  const own = inputs.filter((input) => !input.includes(`${sep}node_modules${sep}`));
  for (const directory of new Set(own.map((input) => dirname(input)))) {
    const nearest = ancestors(directory)
      .flatMap((at) => [join(at, "tsconfig.json"), join(at, "jsconfig.json")])
      .find(isFile);
    if (nearest !== undefined) addWithBases(nearest, found);
  }
  return [...found];
}

function addWithBases(tsconfig: string, found: Set<string>): void {
  if (found.has(tsconfig)) return;
  found.add(tsconfig);
  const { extends: bases } = (parse(readFileSync(tsconfig, "utf8")) ?? {}) as { extends?: unknown };
  for (const base of Array.isArray(bases) ? bases : [bases]) {
    const file = typeof base === "string" ? findBase(tsconfig, base) : undefined;
    if (file !== undefined) addWithBases(file, found);
  }
}

/**
 * The file that an `extends` names: a path, or a place in a package. A missing one is esbuild's to
 * complain about.
 */
function findBase(tsconfig: string, base: string): string | undefined {
  return lookupPlaces(tsconfig, base)
    .flatMap((place) => [place, `${place}.json`, join(place, "tsconfig.json")])
    .find(isFile);
}

/**
 * Where a specifier may lead from a file, before endings, `main` and `exports` are looked at;
 * nearest first.
 */
function lookupPlaces(importer: string, specifier: string): string[] {
  if (isAbsolute(specifier)) return [specifier];
  if (/^\.\.?(\/|$)/.test(specifier)) return [resolve(dirname(importer), specifier)];
  if (specifier.startsWith("#") || specifier.includes(":")) return [];
  return ancestors(dirname(importer)).map((directory) => join(directory, "node_modules", specifier));
}

export function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}
