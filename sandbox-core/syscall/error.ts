/** The one error of every system call that failed. */
import { constants } from "node:os";

/** Of two names for one number the first counts: EAGAIN, not EWOULDBLOCK. */
const NAMES = new Map(
  Object.entries(constants.errno)
    .map(([name, number]): [number, string] => [number, name])
    .reverse(),
);

export class SyscallError extends Error {
  /** Name of the call: "mount". */
  readonly syscall: string;
  /** The kernel's number: 1. */
  readonly errno: number;
  /** Its name: "EPERM". */
  readonly code: string;

  constructor(syscall: string, errno: number, detail = "") {
    const code = NAMES.get(errno) ?? `errno ${errno}`;
    super(`${syscall}${detail ? `(${detail})` : ""} failed: ${code}`);
    this.name = "SyscallError";
    this.syscall = syscall;
    this.errno = errno;
    this.code = code;
  }
}
