/**
 * What only the fork that starts a program may know of it. A request's text stays in the zygote's memory, and that is the
 * memory of every later fork: so arguments, environment and paths go past it, through a file without a name that is in
 * memory alone (memfd_create(2)). The worker holds it, and the fork takes a descriptor of it out of the worker.
 */
import { closeSync, readFileSync } from "node:fs";
import type { Program } from "../contract/program.ts";
import type { ProgramOutline } from "../protocol/control.ts";
import { takeDescriptor } from "../syscall/steps.ts";

/** The fork's part. @throws SyscallError, or Error when there are none */
export function takeSecrets(outline: ProgramOutline, secrets: number | undefined, workerPidfd: number): Program {
  if (secrets === undefined) throw new Error("a program without what it is started with");
  const fd = takeDescriptor(workerPidfd, secrets);
  const rest = JSON.parse(readFileSync(fd, "utf8")) as Omit<Program, keyof ProgramOutline>;
  closeSync(fd);
  return { ...outline, ...rest };
}
