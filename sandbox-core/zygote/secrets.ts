/**
 * What only the fork that starts a program may know of it. A request's text stays in the zygote's memory, and that is the
 * memory of every later fork: so arguments, environment and paths go past it, through a file that the fork reads and
 * removes. It lies in the launcher's directory, which only root may enter.
 */
import { readFileSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Program, ProgramOutline } from "./control.ts";

const file = (directory: string, id: string) => join(directory, `${id}.program`);

/** The worker's part: writes down what is secret, and gives what the zygote has to know. */
export function hideSecrets(directory: string, id: string, program: Program): ProgramOutline {
  const { argv, env, binds, workingDirectory, ...outline } = program;
  writeFileSync(file(directory, id), JSON.stringify({ argv, env, binds, workingDirectory }), {
    mode: 0o600,
    flag: "wx",
  });
  return outline;
}

/** The fork's part. @throws Error of the file system */
export function takeSecrets(directory: string, id: string, outline: ProgramOutline): Program {
  const path = file(directory, id);
  const secrets = JSON.parse(readFileSync(path, "utf8")) as Omit<Program, keyof ProgramOutline>;
  unlinkSync(path);
  return { ...outline, ...secrets };
}

/** The worker's part again, once the launch is over: nothing is left, whatever became of the fork. */
export function dropSecrets(directory: string, id: string): void {
  rmSync(file(directory, id), { force: true });
}
