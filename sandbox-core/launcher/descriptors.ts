/** Descriptors that a zygote has made for its holder. */
import { closeSync } from "node:fs";
import { openPidfd } from "../syscall/pidfd.ts";
import { takeDescriptor } from "../syscall/steps.ts";

/** Sockets of a sandbox's egress, or why there are none. */
export interface TakenSockets {
  fds: number[];
  problem: string | null;
}

/** Copies of a zygote's sockets, or the reason why they cannot be had. Never throws. */
export function takeSockets(zygotePid: number, fds: readonly number[]): TakenSockets {
  try {
    return { fds: takeDescriptors(zygotePid, fds), problem: null };
  } catch (error) {
    return { fds: [], problem: (error as Error).message };
  }
}

/** Copies of a zygote's descriptors. @throws SyscallError, and then none is left */
function takeDescriptors(zygotePid: number, fds: readonly number[]): number[] {
  const pidfd = openPidfd(zygotePid);
  const taken: number[] = [];
  try {
    for (const fd of fds) taken.push(takeDescriptor(pidfd, fd));
    return taken;
  } catch (error) {
    closeAll(taken);
    throw error;
  } finally {
    closeSync(pidfd);
  }
}

/** Closes descriptors that nobody wants any more. */
export function closeAll(fds: readonly number[] = []): void {
  for (const fd of fds) closeSync(fd);
}
