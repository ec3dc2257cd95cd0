/** Finding and signalling the program among the processes of a sandbox, from outside. */
import { readFileSync } from "node:fs";
import { currentArchitecture } from "../abi/arch.ts";
import { SyscallError } from "./error.ts";
import { sys } from "./libc.ts";
import { openPidfd } from "./pidfd.ts";

const PIDFD_SEND_SIGNAL = currentArchitecture().syscalls.pidfd_send_signal as number;
/** A program, by its parent's pid on the host and its own inside. */
export interface ProgramPlace {
  init: number;
  program: number;
}

/**
 * Sends a signal to the program of a sandbox; `members` are the processes of its group. Does
 * nothing when the program has ended.
 * @throws SyscallError for a number that is no signal
 */
export function signalProgram(members: readonly number[], place: ProgramPlace, signal: number): void {
  const pid = members.find((member) => isProgram(member, place));
  if (pid === undefined) return;
  let pidfd: number | undefined;
  try {
    pidfd = openPidfd(pid);
    // The number may have become another process's meanwhile; the descriptor's process it cannot
    // become.
    if (isProgram(pid, place)) sys.syscall("pidfd_send_signal", PIDFD_SEND_SIGNAL, pidfd, signal, 0, 0);
  } catch (error) {
    if (!(error instanceof SyscallError && error.code === "ESRCH")) throw error;
  } finally {
    if (pidfd !== undefined) sys.close(pidfd);
  }
}

/** As proc_pid_status(5) tells it: the pid in each namespace, the innermost last. */
function isProgram(pid: number, { init, program }: ProgramPlace): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return new RegExp(`^PPid:\\t${init}$`, "m").test(status) && new RegExp(`^NSpid:.*\\t${program}$`, "m").test(status);
  } catch {
    return false;
  }
}
