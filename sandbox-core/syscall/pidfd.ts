/** Descriptors of processes (pidfd_open(2)). */

import { currentArchitecture } from "../abi/arch.ts";
import { sys } from "./libc.ts";

const PIDFD_OPEN = currentArchitecture().syscalls.pidfd_open as number;

/** A descriptor that can be read once the process has ended (pidfd_open(2)). */
export function openPidfd(pid: number): number {
  return sys.syscall("pidfd_open", PIDFD_OPEN, pid, 0);
}
