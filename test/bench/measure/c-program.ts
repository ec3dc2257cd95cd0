/** Programs in C of this folder, for what JavaScript would hide behind its own price. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { ensureProgram } from "../../../infra/up/apt-install.ts";
import { createSteps } from "../../../infra/up/steps.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

/** Runs the program once with these arguments. @returns the lines that it prints */
export type CProgram = (...args: string[]) => Promise<string[]>;

const COMPILER = { program: "cc", packages: ["gcc", "libc6-dev"], otherwise: "install a C compiler" };

/**
 * Compiles a program. @throws Error when there is no compiler and none can be installed
 * @param name of its file, without the ending
 */
export async function compile(name: string): Promise<CProgram> {
  const compiler = await ensureProgram(COMPILER, process.env, createSteps(process.stderr, false));
  const program = join(tempDir(), name);
  execFileSync(compiler, ["-O2", "-o", program, join(import.meta.dirname, `${name}.c`)]);
  return async (...args) => {
    const child = spawn(program, args, { env: {}, stdio: ["ignore", "pipe", "inherit"] });
    const [said, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
    if (code !== 0) throw new Error(`${name} ended with ${code}`);
    return said.trim().split("\n");
  };
}
