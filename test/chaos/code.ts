/** Where the code of a site's services is: this checkout, a copy of it, or an installed package. */
import { execFile } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../..");
const FOLDERS = ["gateway", "worker", "sandbox-core", "functions", "infra"];

export interface Code {
  root: string;
  /** Of its modules' names. */
  ending: ".ts" | ".js";
  node: string;
}

export const CHECKOUT: Code = { root: ROOT, ending: ".ts", node: process.execPath };

/** The checkout's code in another place, as a newer version would be. */
export function copyCheckout(): Code {
  const root = temporary();
  for (const folder of FOLDERS) cpSync(join(ROOT, folder), join(root, folder), { recursive: true });
  for (const file of ["package.json", "tsconfig.json"]) cpSync(join(ROOT, file), join(root, file));
  symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
  return { ...CHECKOUT, root };
}

let installed: Promise<Code> | undefined;

/** Says where `installPackage` finds what another process has installed. */
export function useInstalled(code: Code): void {
  installed = Promise.resolve(code);
}

/** The package, packed and installed once as docs/DEPLOYMENT.md says. @throws Error of npm's */
export function installPackage(): Promise<Code> {
  installed ??= install();
  return installed;
}

async function install(): Promise<Code> {
  const place = temporary();
  await run("npm", ["pack", "--pack-destination", place], { cwd: ROOT });
  const tarball = readdirSync(place).find((name) => name.endsWith(".tgz"));
  writeFileSync(join(place, "package.json"), JSON.stringify({ name: "site", private: true }));
  const args = ["install", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", `./${tarball}`];
  await run("npm", args, { cwd: place });
  const root = join(place, "node_modules/sandpiper/dist");
  return { root, ending: ".js", node: join(place, `node_modules/node-linux-${process.arch}/bin/node`) };
}

const made: string[] = [];
process.once("exit", () => {
  for (const path of made) rmSync(path, { recursive: true, force: true });
});

/** A directory that every user can read. */
function temporary(): string {
  const path = mkdtempSync(join(tmpdir(), "sp-code-"));
  made.push(path);
  chmodSync(path, 0o755);
  return path;
}
