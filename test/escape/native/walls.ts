/** Compiles walls.c into a program that needs no library, or finds it compiled. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "../../helpers/temp-dir.ts";

/** Where an emulated machine, which has no compiler, has the program. */
export const COMPILED_WALLS = join(import.meta.dirname, "walls");

/** Writes the program to a path. @throws Error with what the compiler said */
export function compileWalls(output: string): void {
  const flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-static"];
  execFileSync("cc", [...flags, join(import.meta.dirname, "walls.c"), "-o", output], { stdio: "pipe" });
}

/** The program's path. */
export function wallsProgram(): string {
  if (existsSync(COMPILED_WALLS)) return COMPILED_WALLS;
  const output = join(tempDir(), "walls");
  compileWalls(output);
  return output;
}
