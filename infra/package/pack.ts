/**
 * `npm pack` runs this first: builds dist/, the same tree as the sources in plain JavaScript,
 * because Node strips no types below node_modules, and the declarations of what can be imported.
 * Nothing of it is committed.
 */
import { execFileSync } from "node:child_process";
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "../up/paths.ts";
import { nameJavaScript, toJavaScript } from "./javascript.ts";

const DIST = join(ROOT, "dist");
const SOURCES = ["gateway/**/*.ts", "worker/**/*.ts", "sandbox-core/**/*.ts", "functions/**/*.ts", "infra/**/*.ts"];
/** Files of tenants, and those that only a checkout has a use for. */
const LEFT_OUT = /^(functions\/(examples|templates)\/|infra\/(up|package)(\/|\.ts$))/;
const COPIED = ["functions/cli/sandpiper.mjs", "functions/templates", "infra/deploy"];

rmSync(DIST, { recursive: true, force: true });
const sources = globSync(SOURCES, { cwd: ROOT }).filter((path) => !LEFT_OUT.test(path));
for (const path of sources) {
  const target = join(DIST, path.replace(/\.ts$/, ".js"));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, toJavaScript(readFileSync(join(ROOT, path), "utf8")));
}
for (const path of COPIED) cpSync(join(ROOT, path), join(DIST, path), { recursive: true });
declareTypes("sandbox-core/index.ts");
process.stderr.write(`built dist: ${sources.length} modules\n`);

/**
 * Writes the declarations of a module, and of what its types are made of, beside its JavaScript.
 */
function declareTypes(module: string): void {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const emit = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--rootDir", ROOT, "--outDir", DIST];
  const project = join(DIST, "tsconfig.json");
  writeFileSync(
    project,
    JSON.stringify({ extends: join(ROOT, "tsconfig.json"), files: [join(ROOT, module)], include: [] }),
  );
  execFileSync(process.execPath, [tsc, "--project", project, ...emit], { stdio: ["ignore", 2, 2] });
  rmSync(project);
  for (const path of globSync("**/*.d.ts", { cwd: DIST })) {
    writeFileSync(join(DIST, path), nameJavaScript(readFileSync(join(DIST, path), "utf8")));
  }
}
