/**
 * A terminal of a sandbox's own: an instance of devpts(5) that holds this one pair and shows nothing of the host's. The
 * zygote keeps the master's side for the worker; the sandbox gets the file system, and in it the slave's side.
 */
import { mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { MNT_DETACH, MS, O, TERMINAL_IOCTL } from "../abi/linux.ts";
import { sys } from "../syscall/libc.ts";
import { setWindowSize } from "../syscall/steps.ts";
import type { WindowSize } from "./control.ts";

/** The sandbox's side: the first pair of its instance. */
export const TERMINAL = "/dev/pts/0";
const MOST_TERMINALS = 16;

/** Where the zygote mounts a terminal's file system for the fork to take. */
export function terminalMount(directory: string): string {
  return join(directory, "pts");
}

/**
 * Makes the instance, owned by `hostId`, and the pair, and gives the master's descriptor. `dropTerminalMount` after the
 * fork. @throws SyscallError
 */
export function makeTerminal(directory: string, hostId: number, size: WindowSize): number {
  const point = terminalMount(directory);
  mkdirSync(point, { recursive: true });
  const data = `newinstance,ptmxmode=0666,mode=0620,uid=${hostId},gid=${hostId},max=${MOST_TERMINALS}`;
  sys.mount("devpts", point, "devpts", MS.NOSUID | MS.NOEXEC, data);
  try {
    const master = openSync(join(point, "ptmx"), O.RDWR | O.NOCTTY | O.CLOEXEC);
    sys.ioctl(master, TERMINAL_IOCTL.TIOCSPTLCK, Buffer.alloc(4));
    setWindowSize(master, size);
    return master;
  } catch (error) {
    dropTerminalMount(directory);
    throw error;
  }
}

export function dropTerminalMount(directory: string): void {
  sys.umount2(terminalMount(directory), MNT_DETACH);
}
