/** How the relay gives up, before it is given anything, all that it does not need. */
import { currentArchitecture } from "../abi/arch.ts";
import { CLONE, O, PR, SIGKILL } from "../abi/linux.ts";
import type { RelayOptions } from "../protocol/egress.ts";
import { assemble, encode } from "../seccomp/assembler.ts";
import { RELAY_POLICY } from "../seccomp/relay.ts";
import { sys } from "../syscall/libc.ts";

/**
 * The C library changes the user of every thread, and the kernel takes a thread's capabilities with
 * its last root user (capabilities(7)). The filter goes to every thread as well, and the promise
 * that nothing started from here has more rights.
 * @throws Error or SyscallError, and then the relay must not go on
 */
export function lockIn({ uid, networkNamespace }: RelayOptions): void {
  if (networkNamespace !== undefined) sys.setns(sys.open(networkNamespace, O.RDONLY | O.CLOEXEC), CLONE.NEWNET);
  process.setgroups?.([]);
  process.setgid?.(uid);
  process.setuid?.(uid);
  sys.prctl(PR.SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  sys.prctl(PR.SET_DUMPABLE, 0, 0, 0, 0);
  sys.prctl(PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  sys.installFilterForAll(encode(assemble(RELAY_POLICY, currentArchitecture())));
}
