/**
 * `npm pack` runs this first: builds dist/, the same tree as the sources in plain JavaScript, because Node strips no
 * types below node_modules. Nothing of it is committed.
 */
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { toJavaScript } from "./javascript.ts";
import { ROOT } from "./up/paths.ts";

const DIST = join(ROOT, "dist");
const SOURCES = ["gateway/**/*.ts", "worker/**/*.ts", "sandbox-core/**/*.ts", "functions/**/*.ts", "infra/**/*.ts"];
/** What tenants write, and what only a checkout has a use for. */
const LEFT_OUT = /^(functions\/(examples|templates)\/|infra\/(up|pack|javascript)(\/|\.ts$))/;
const COPIED = ["functions/cli/sandpiper.mjs", "functions/templates", "infra/deploy"];

rmSync(DIST, { recursive: true, force: true });
const sources = globSync(SOURCES, { cwd: ROOT }).filter((path) => !LEFT_OUT.test(path));
for (const path of sources) {
  const target = join(DIST, path.replace(/\.ts$/, ".js"));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, toJavaScript(readFileSync(join(ROOT, path), "utf8")));
}
for (const path of COPIED) cpSync(join(ROOT, path), join(DIST, path), { recursive: true });
process.stderr.write(`built dist: ${sources.length} modules\n`);
