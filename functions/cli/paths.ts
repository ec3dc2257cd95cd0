/**
 * Where the parts of the package are that the CLI reads. This file stays in functions/cli, also
 * when all of the CLI is packed into one main.js there, so that the paths hold in both.
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

/** The checkout or the installed package that this CLI belongs to. */
export const PACKAGE_ROOT = resolve(import.meta.dirname, "../..");

export const TEMPLATES_DIR = resolve(import.meta.dirname, "../templates");

/**
 * A module of the package: TypeScript in a checkout, JavaScript in an installed package. Null when
 * there is none.
 */
export function packageModule(path: string): string | null {
  const candidates = [join(PACKAGE_ROOT, `${path}.js`), join(PACKAGE_ROOT, `${path}.ts`)];
  return candidates.find((candidate) => existsSync(candidate)) ?? null;
}
