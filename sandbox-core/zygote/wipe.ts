/**
 * Sees from outside that a call left nothing in its template's sandbox, before the next call is sent there. All of it is
 * asked of the kernel, and nothing of the processes inside:
 *
 *  - the control group holds the template and no other process;
 *  - /tmp is empty, and says of its last use no more than when it was emptied here.
 *
 * Its files are removed one name at a time below a descriptor of /tmp, so that no link is followed, whatever still runs
 * inside; and not many of them, so that nobody is kept waiting. Who leaves more has its sandbox ended for it.
 */
import { closeSync, constants, openSync, readdirSync, statfsSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { O, TMPFS_MAGIC } from "../abi/linux.ts";
import type { SandboxLimits } from "../index.ts";
import { SyscallError } from "../syscall/error.ts";
import { openAt, removeAt } from "../syscall/unlink.ts";

const { O_DIRECTORY, O_NOFOLLOW } = constants;
const MOST_ENTRIES = 256;
const MOST_DEPTH = 16;
/** Of an empty file system: its root directory alone. */
const ROOT_INODES = 1;
/** What /tmp shows as the time of its last change and its last reading, always. */
const NO_TIME = new Date(0);

export interface WipeOptions {
  /** The sandbox's first process. */
  pid: number;
  limits: SandboxLimits;
  /** The processes of its control group. */
  members: () => number[];
}

export class Wipe {
  readonly #options: WipeOptions;
  /** Its /tmp. */
  #tmp: number | undefined;

  constructor(options: WipeOptions) {
    this.#options = options;
  }

  /** Removes what a call left, as far as that may be done; says what is left, or null. */
  run(): string | null {
    try {
      const others = this.#others();
      if (others > 0) return `${others} processes`;
      const tmp = this.#openTmp();
      if (!this.#isEmpty(tmp)) emptyDirectory(tmp, { entries: MOST_ENTRIES }, MOST_DEPTH);
      utimesSync(pathOf(tmp), NO_TIME, NO_TIME);
      return this.#isEmpty(tmp) ? null : "files in /tmp";
    } catch (error) {
      return (error as Error).message;
    }
  }

  close(): void {
    if (this.#tmp !== undefined) closeSync(this.#tmp);
    this.#tmp = undefined;
  }

  #others(): number {
    const { pid, members } = this.#options;
    const found = members();
    if (!found.includes(pid)) throw new Error("it has ended");
    return found.length - 1;
  }

  /**
   * /tmp of the sandbox, through its first process. The path to it is the sandbox's root and a mount point in that, which
   * nobody inside can change. The process is looked for again afterwards: else the number might be another's by then.
   */
  #openTmp(): number {
    if (this.#tmp !== undefined) return this.#tmp;
    const root = `/proc/${this.#options.pid}/root`;
    const tmp = openSync(join(root, "tmp"), O_DIRECTORY | O_NOFOLLOW | O.CLOEXEC);
    try {
      this.#others();
      const { type, files } = statfsSync(pathOf(tmp));
      if (type !== TMPFS_MAGIC || files !== this.#options.limits.tmpInodes) throw new Error("/tmp is not its own");
    } catch (error) {
      closeSync(tmp);
      throw error;
    }
    this.#tmp = tmp;
    return tmp;
  }

  #isEmpty(tmp: number): boolean {
    const { files, ffree, blocks, bfree } = statfsSync(pathOf(tmp));
    return files - ffree === ROOT_INODES && blocks === bfree;
  }
}

/** A path for Node's functions that is the descriptor itself (proc_pid_fd(5)). */
function pathOf(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

/** @throws Error when there are too many entries, or too many levels; SyscallError */
function emptyDirectory(directory: number, left: { entries: number }, depth: number): void {
  if (depth === 0) throw new Error("too deep a tree in /tmp");
  for (const name of readdirSync(pathOf(directory), "buffer")) {
    left.entries -= 1;
    if (left.entries < 0) throw new Error("too many files in /tmp");
    if (removesFile(directory, name)) continue;
    const inner = openAt(directory, name, O_DIRECTORY | O_NOFOLLOW | O.CLOEXEC);
    try {
      emptyDirectory(inner, left, depth - 1);
    } finally {
      closeSync(inner);
    }
    removeAt(directory, name, "directory");
  }
}

/** Whether it was anything but a directory, and is gone. */
function removesFile(directory: number, name: Buffer): boolean {
  try {
    removeAt(directory, name, "file");
    return true;
  } catch (error) {
    if (error instanceof SyscallError && error.code === "EISDIR") return false;
    throw error;
  }
}
