/** Imports that may fail: what is not there is left to the code that imports it. */
import type { Message } from "esbuild";

/** A package, or a part of one, by its name alone. */
const BARE = /^(?:@[a-z0-9~-][^/:*]*\/)?[^./#@:*\s][^:*\s]*$/i;
const UNRESOLVED = /^Could not resolve "(.*)"$/;
/** esbuild's advice beside an import() or a require: words by which they can be told apart. */
const IS_DYNAMIC = /\.catch\(\)/;
const IS_REQUIRE = /"require" call with a try\/catch/;

/**
 * Packages among the errors that are not there, and whose import fails only where it is called: by
 * an `import()`, or by a `require` of a package that cannot be changed. esbuild itself lets those
 * be that the code around catches.
 */
export function missingPackages(errors: readonly Message[]): string[] {
  const names = errors.flatMap(({ text, notes, location }) => {
    const [, specifier = ""] = UNRESOLVED.exec(text) ?? [];
    if (!BARE.test(specifier)) return [];
    const says = (words: RegExp) => notes.some((note) => words.test(note.text));
    const isOfPackage = /(?:^|\/)node_modules\//.test(location?.file ?? "");
    return says(IS_DYNAMIC) || (isOfPackage && says(IS_REQUIRE)) ? [specifier] : [];
  });
  return [...new Set(names)];
}
