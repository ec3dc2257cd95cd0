/** Where things are in this checkout, or in the published package. */
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(import.meta.url);

/** The directory that holds gateway/, worker/, functions/ and infra/. */
export const ROOT = dirname(dirname(dirname(HERE)));

/**
 * Path of a script named without its ending: `.ts` in a checkout, `.js` in the published package.
 */
export function script(name: string): string {
  return join(ROOT, `${name}${extname(HERE)}`);
}

export const CLI = join(ROOT, "functions", "cli", "sandpiper.mjs");
export const EXAMPLES = join(ROOT, "functions", "examples");
