/** A bare clone(2) with six namespaces, by a program that is compiled for the purpose. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { ensureProgram } from "../../../infra/up/apt-install.ts";
import { createSteps } from "../../../infra/up/steps.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

/** Makes so many, one after the other. @returns milliseconds of each */
export type CloneFloor = (count: number) => Promise<number[]>;

const COMPILER = { program: "cc", packages: ["gcc", "libc6-dev"], otherwise: "install a C compiler" };

/** @throws Error when there is no compiler and none can be installed, or the kernel refuses */
export async function compileCloneFloor(): Promise<CloneFloor> {
  const compiler = await ensureProgram(COMPILER, process.env, createSteps(process.stderr, false));
  const program = join(tempDir(), "clone-floor");
  execFileSync(compiler, ["-O2", "-o", program, join(import.meta.dirname, "clone-floor.c")]);
  const run: CloneFloor = async (count) => {
    const child = spawn(program, [String(count)], { env: {}, stdio: ["ignore", "pipe", "inherit"] });
    const [said, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
    if (code !== 0) throw new Error(`clone with six namespaces ended with ${code}`);
    return said.trim().split("\n").map(Number);
  };
  await run(1);
  return run;
}
