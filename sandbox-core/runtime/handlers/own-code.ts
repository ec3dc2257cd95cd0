/** Most characters of a bundle that are looked through for what a function is written for. */
const OWN_LENGTH = 256 * 1024;

/**
 * The end of a bundle, where a function's own code is: packages come before what imports them. A
 * look through all of a bundle of megabytes would take milliseconds of each start.
 */
export function ownCode(code: string): string {
  return code.slice(-OWN_LENGTH);
}

/** The comment that esbuild writes above each module of a bundle. */
const MODULE = /^\/\/ (\S.*\.[cm]?[jt]sx?)$/gm;
const PACKAGES = "node_modules/";

/**
 * The same without the modules of packages, which may speak of platforms that they would suit as
 * well; they would take a global of one for the platform itself.
 */
export function codeOutsidePackages(code: string): string {
  const own = ownCode(code);
  if (!own.includes(PACKAGES)) return own;
  const marks = [...own.matchAll(MODULE)];
  const modules = marks.map(({ 1: path = "", index }, at) => ({ path, text: own.slice(index, marks[at + 1]?.index) }));
  return modules
    .filter(({ path }) => !path.includes(PACKAGES))
    .map(({ text }) => text)
    .join("");
}
