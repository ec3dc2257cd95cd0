/**
 * Stand-ins for symbolic links. npm workspaces and pnpm link packages into node_modules, and the
 * worker bundles in a plain directory without links. Where an import led through one, a directory
 * with the link's name and a package.json of which `main` points at the real file leads there too.
 * The file itself is uploaded once, so a module stays one module.
 */
import { existsSync, realpathSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { CliError } from "../failure.ts";
import type { ImportEdge } from "./bundle-inputs.ts";
import { ancestors } from "./resolution-files.ts";

/** One file that stands for a link: a package.json by its absolute path. */
export interface StandIn {
  path: string;
  bytes: Buffer;
}

/**
 * The stand-ins that these imports need.
 * @throws CliError of kind `build` when one import leads to two files, as `import` and `require` of
 * a package may.
 */
export function standIns(imports: readonly ImportEdge[]): StandIn[] {
  const targets = new Map<string, string>();
  for (const edge of imports) {
    const link = linkOf(edge);
    if (link === null) continue;
    const other = targets.get(link);
    if (other !== undefined && other !== edge.resolved) throw ambiguous(edge, other);
    targets.set(link, edge.resolved);
  }
  return [...targets].map(([link, target]) => ({
    path: join(link, "package.json"),
    bytes: Buffer.from(`${JSON.stringify({ main: relative(link, target).split(sep).join("/") })}\n`),
  }));
}

/**
 * The path that the import names, if a symbolic link lies on the way from it to the file; otherwise
 * null.
 */
function linkOf({ importer, specifier, resolved }: ImportEdge): string | null {
  if (/^\.\.?(\/|$)/.test(specifier)) {
    const named = resolve(dirname(importer), specifier);
    return passesLink(existing(named, resolved)) ? named : null;
  }
  const name = /^(?:@[^/]+\/)?[^@./#:][^/:]*/.exec(specifier)?.[0];
  if (name === undefined) return null;
  const found = ancestors(dirname(importer))
    .map((directory) => join(directory, "node_modules", name))
    .find((place) => existsSync(place));
  if (found === undefined || !passesLink(found)) return null;
  // Something else may have answered the import: a path of tsconfig.json, or the package's own name
  // inside it.
  const inside = `${resolved}${sep}`.startsWith(`${realpathSync(found)}${sep}`);
  return inside ? join(found, specifier.slice(name.length)) : null;
}

/**
 * The longest part of a path that there is. An import may leave the ending out: then the resolved
 * file's is tried.
 */
function existing(named: string, resolved: string): string {
  const ending = /\.[^./]+$/.exec(resolved)?.[0] ?? "";
  const candidates = [named, `${named}${ending}`, named.replace(/\.[^./]+$/, ending)];
  return candidates.find((candidate) => existsSync(candidate)) ?? dirname(named);
}

function passesLink(path: string): boolean {
  return existsSync(path) && realpathSync(path) !== path;
}

function ambiguous({ importer, specifier, resolved }: ImportEdge, other: string): CliError {
  return new CliError(
    "build",
    `"${specifier}" is a linked package that leads to two files:\n  ${other}\n  ${resolved}\n(the latter from ${importer})`,
    {
      code: "AMBIGUOUS_LINK",
      hint: "its `import` and its `require` differ. Install the package without a link, or import it in one way only",
    },
  );
}
