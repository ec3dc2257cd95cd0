/**
 * Modules of ours as Node makes them, types stripped and compiled, kept for other processes of a
 * test run (https://nodejs.org/api/module.html, "Module compile cache"): each of its hundreds of
 * processes would make the same of the same files.
 *
 * The directory is new in each run, so that no run depends on what another one left. Zygotes and
 * sandboxes are not told of it: they get nothing of the environment of those who start them.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const VARIABLE = "NODE_COMPILE_CACHE";

/**
 * Makes the directory for all processes that this one starts, and removes it when this one ends.
 */
export function startCompileCache(): void {
  const directory = mkdtempSync(join(tmpdir(), "sp-compiled-"));
  process.env[VARIABLE] = directory;
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
}

/** The variable for a process of ours with an environment of its own; nothing outside of a run. */
export function compileCacheVariable(): Record<string, string> {
  const directory = process.env[VARIABLE];
  return directory === undefined ? {} : { [VARIABLE]: directory };
}
