/**
 * What only the fork that starts a program may know of it. A request's text stays in the zygote's memory, and that is the
 * memory of every later fork: so arguments, environment and paths go past it, through a file without a name that is in
 * memory alone (memfd_create(2)). The worker holds it, and the fork takes a descriptor of it out of the worker.
 */
import { closeSync, readFileSync, writeSync } from "node:fs";
import { MFD_CLOEXEC } from "../abi/linux.ts";
import type { Program, ProgramOutline } from "../protocol/control.ts";
import { sys } from "../syscall/libc.ts";
import { takeDescriptor } from "../syscall/steps.ts";

/**
 * The worker's part: writes down what is secret, and gives what the zygote has to know. Whoever asked closes the descriptor.
 * @throws SyscallError
 */
export function hideSecrets(program: Program): { outline: ProgramOutline; secrets: number } {
  const { argv, env, binds, workingDirectory, ...outline } = program;
  const text = Buffer.from(JSON.stringify({ argv, env, binds, workingDirectory }));
  const secrets = sys.memfdCreate("program", MFD_CLOEXEC);
  try {
    // At a position of its own: the fork shares that of the descriptor, and reads from the beginning.
    for (let sent = 0; sent < text.length; ) sent += writeSync(secrets, text, sent, text.length - sent, sent);
    return { outline, secrets };
  } catch (error) {
    closeSync(secrets);
    throw error;
  }
}

/** The fork's part. @throws SyscallError, or Error when there are none */
export function takeSecrets(outline: ProgramOutline, secrets: number | undefined, workerPidfd: number): Program {
  if (secrets === undefined) throw new Error("a program without what it is started with");
  const fd = takeDescriptor(workerPidfd, secrets);
  const rest = JSON.parse(readFileSync(fd, "utf8")) as Omit<Program, keyof ProgramOutline>;
  closeSync(fd);
  return { ...outline, ...rest };
}
