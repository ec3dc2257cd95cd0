/**
 * Descriptors that a fork takes out of the process that holds its sandbox, before it locks itself
 * in (pidfd_getfd(2)).
 *
 * Pipes: a box's pipes are the worker's own, and the fork takes the ends that are for it.
 *
 * Secrets: a request's text stays in the zygote's memory, and that is the memory of every later
 * fork. So arguments, environment and paths of a program go past it, in a file without a name that
 * is in memory alone (memfd_create(2)). The worker holds the file (launcher/secrets.ts); only the
 * fork that starts the program reads it.
 */
import { closeSync, fchownSync, readFileSync } from "node:fs";
import type { Program } from "../contract/program.ts";
import type { PipeEnd, ProgramOutline } from "../protocol/control.ts";
import { takeDescriptor } from "../syscall/steps.ts";

/** A descriptor of this process's, and what it becomes inside. */
export interface TakenPipe {
  fd: number;
  target: number;
}

/** Takes ends out of the worker, for the host user of the sandbox. @throws SyscallError */
export function takePipes(ends: readonly PipeEnd[], workerPidfd: number, hostId: number): TakenPipe[] {
  return ends.map(({ from, fd: target }) => {
    const fd = takeDescriptor(workerPidfd, from);
    // As /dev/stdout it is opened anew, by the sandbox's user.
    fchownSync(fd, hostId, hostId);
    return { fd, target };
  });
}

/**
 * The program with its secrets, read from the worker's descriptor `secrets`.
 * @throws SyscallError, or Error when there are none
 */
export function takeSecrets(outline: ProgramOutline, secrets: number | undefined, workerPidfd: number): Program {
  if (secrets === undefined) throw new Error("a program without what it is started with");
  const fd = takeDescriptor(workerPidfd, secrets);
  const rest = JSON.parse(readFileSync(fd, "utf8")) as Omit<Program, keyof ProgramOutline>;
  closeSync(fd);
  return { ...outline, ...rest };
}
