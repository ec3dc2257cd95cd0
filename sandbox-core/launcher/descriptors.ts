/** Descriptors that a zygote has made for its holder. */
import { closeSync } from "node:fs";
import { openPidfd } from "../syscall/pidfd.ts";
import { takeDescriptor } from "../syscall/steps.ts";

/** Copies of a zygote's descriptors. @throws SyscallError, and then none is left */
export function takeDescriptors(zygotePid: number, fds: readonly number[]): number[] {
  const pidfd = openPidfd(zygotePid);
  const taken: number[] = [];
  try {
    for (const fd of fds) taken.push(takeDescriptor(pidfd, fd));
    return taken;
  } catch (error) {
    for (const fd of taken) closeSync(fd);
    throw error;
  } finally {
    closeSync(pidfd);
  }
}
