/** The pipes of a box: the worker's own, of which its fork takes the ends that are for it, before it locks itself in. */
import { fchownSync } from "node:fs";
import type { PipeEnd } from "../protocol/control.ts";
import { takeDescriptor } from "../syscall/steps.ts";

/** A descriptor of this process's, and what it becomes inside. */
export interface Pipe {
  fd: number;
  target: number;
}

/** Takes ends out of the worker, for the host user of the sandbox. @throws SyscallError */
export function takePipes(ends: readonly PipeEnd[], workerPidfd: number, hostId: number): Pipe[] {
  return ends.map(({ from, fd: target }) => {
    const fd = takeDescriptor(workerPidfd, from);
    // As /dev/stdout it is opened anew, by the sandbox's user.
    fchownSync(fd, hostId, hostId);
    return { fd, target };
  });
}
