/**
 * How the relay and the injector give up, before they are given anything, all that they do not
 * need.
 */
import { currentArchitecture } from "../abi/arch.ts";
import { CLONE, O, PR, SIGKILL } from "../abi/linux.ts";
import { assemble, encode } from "../seccomp/assembler.ts";
import type { Policy } from "../seccomp/rule.ts";
import { sys } from "../syscall/libc.ts";

export interface LockInOptions {
  /** The host user that it becomes, and the group of that number. */
  uid: number;
  /** Its network namespace as a path, unless it is that of whoever starts it. */
  networkNamespace?: string;
}

/**
 * The C library changes the user of every thread, and the kernel takes a thread's capabilities with
 * its last root user (capabilities(7)). The filter goes to every thread as well, and the promise
 * that nothing started from here has more rights.
 * @throws Error or SyscallError, and then the process must not go on
 */
export function lockIn({ uid, networkNamespace }: LockInOptions, policy: Policy): void {
  if (networkNamespace !== undefined) sys.setns(sys.open(networkNamespace, O.RDONLY | O.CLOEXEC), CLONE.NEWNET);
  process.setgroups?.([]);
  process.setgid?.(uid);
  process.setuid?.(uid);
  sys.prctl(PR.SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  sys.prctl(PR.SET_DUMPABLE, 0, 0, 0, 0);
  sys.prctl(PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  sys.installFilterForAll(encode(assemble(policy, currentArchitecture())));
}
