/**
 * A fork of this process that V8 survives, as the first process of a pid namespace of its own, in a
 * time namespace. When that first process ends, the kernel ends all others in its pid namespace.
 */
import { existsSync } from "node:fs";
import { CLONE, O } from "../abi/linux.ts";
import { complain } from "../fork/complain.ts";
import { exitNow, sys } from "../syscall/libc.ts";

/** Exit code of a zygote that must not go on. */
const EXIT_UNFIT = 71;

/**
 * A kernel before Linux 5.6, or without CONFIG_TIME_NS, has no time namespaces: the attestation
 * says so.
 */
const NAMESPACES = CLONE.NEWPID | (existsSync("/proc/self/ns/time") ? CLONE.NEWTIME : 0);

let ownPidNamespace: number | undefined;

/**
 * fork(2): 0 in the child, its pid in the caller. The namespaces are made for children before the
 * fork (unshare(2)), which saves the second fork that a pid namespace made by the child would take.
 * The zygote's own pid namespace is put back after the fork (setns(2)); of time namespaces each
 * fork makes the next, and only forks enter them (time_namespaces(7)).
 *
 * The new namespace keeps the host's clocks. A fork inherits times of the monotonic clock in V8's
 * and libuv's state, and the clock must not run behind them. An offset would hide nothing anyway,
 * as /proc/self/timens_offsets tells it.
 * @throws SyscallError, and then there is no child; the caller's children go where they went before
 * in any case
 */
export function forkAsInit(): number {
  ownPidNamespace ??= sys.open("/proc/self/ns/pid", O.RDONLY | O.CLOEXEC);
  sys.unshare(NAMESPACES);
  let pid = -1;
  try {
    pid = sys.fork();
  } finally {
    if (pid !== 0) returnTo(ownPidNamespace);
  }
  return pid;
}

/**
 * Puts the zygote's pid namespace back for further children. Without it the next sandbox would be a
 * neighbour of the last. So a failure ends the zygote at once: the kernel ends its sandboxes, and
 * its worker starts another.
 */
function returnTo(pidNamespace: number): void {
  try {
    sys.setns(pidNamespace, CLONE.NEWPID);
  } catch (error) {
    complain(error);
    exitNow(EXIT_UNFIT);
  }
}
