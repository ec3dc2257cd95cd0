/**
 * Sees from outside that a call left nothing in its template's sandbox, before the next call is
 * sent there. All of it is asked of the kernel, and nothing of the processes inside:
 *
 *  - the control group holds the template and no other process;
 *  - /tmp is empty, and says of its last use no more than when it was emptied here.
 *
 * Its files are removed one name at a time below a descriptor of /tmp, so that no link is followed,
 * whatever still runs inside; and not much of them, as the worker does nothing else meanwhile. A
 * call that leaves more has its sandbox ended for it.
 */
import { chmodSync, closeSync, constants, mkdirSync, openSync, readdirSync, statfsSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { O, TMPFS_MAGIC } from "../abi/linux.ts";
import type { SandboxLimits } from "../contract/sandbox.ts";
import { SCRATCH } from "../rootfs/scratch.ts";
import { openAt, removeAt } from "../syscall/unlink.ts";

const { O_DIRECTORY, O_NOFOLLOW } = constants;
const MOST_ENTRIES = 64;
const MOST_DEPTH = 16;
/** The kernel takes some milliseconds to free so many. */
const MOST_BYTES = 16 * 1024 * 1024;
/**
 * A fork that lived long may leave more; its files are removed in turns, with other work in
 * between.
 */
const MOST_TURNS = 256;
const MOST_DEPTH_OF_FORK = 128;
/** Of an empty file system: its root directory alone. */
const ROOT_INODES = 1;
const TOO_MANY_FILES = "too many files in /tmp";
/** The time of the last change and the last reading that /tmp shows, always. */
const NO_TIME = new Date(0);

export interface ScratchCleanerOptions {
  /** The sandbox's first process. */
  pid: number;
  limits: SandboxLimits;
  /** The processes of its control group. */
  members: () => number[];
}

export class ScratchCleaner {
  readonly #options: ScratchCleanerOptions;
  /** Its /tmp. */
  #tmp: number | undefined;

  constructor(options: ScratchCleanerOptions) {
    this.#options = options;
  }

  /** Removes what a call left, as far as that may be done; says what is left, or null. */
  run(): string | null {
    try {
      const others = this.#others();
      if (others > 0) return `${others} processes`;
      const tmp = this.#openTmp();
      const { entries, bytes } = contentsOf(tmp);
      if (bytes > MOST_BYTES) return "too many bytes in /tmp";
      if (entries > MOST_ENTRIES) return TOO_MANY_FILES;
      if (entries + bytes > 0) emptyDirectory(tmp, { entries: MOST_ENTRIES }, MOST_DEPTH);
      utimesSync(pathOf(tmp), NO_TIME, NO_TIME);
      const after = contentsOf(tmp);
      return after.entries + after.bytes === 0 ? null : "files in /tmp";
    } catch (error) {
      return (error as Error).message;
    }
  }

  /**
   * Makes a directory in the sandbox's file system that is a fork's own /tmp, and opens it.
   * @throws when there is one
   */
  openDirectory(name: string): number {
    const tmp = this.#openTmp();
    // Nobody but us makes anything beside these.
    chmodSync(pathOf(tmp), 0o755);
    const path = join(pathOf(tmp), name);
    mkdirSync(path);
    chmodSync(path, 0o1777);
    return openSync(path, O_DIRECTORY | O_NOFOLLOW | O.PATH | O.CLOEXEC);
  }

  /** Removes it, and all that is in it. @throws Error when that is too much, or goes on growing */
  async removeDirectory(name: string): Promise<void> {
    const [tmp, bytes] = [this.#openTmp(), Buffer.from(name)];
    const directory = openAt(tmp, bytes, O_DIRECTORY | O_NOFOLLOW | O.CLOEXEC);
    try {
      for (let turn = 1; !emptied(directory, turn === MOST_TURNS); turn++) await nextTurn();
    } finally {
      closeSync(directory);
    }
    removeAt(tmp, bytes, "directory");
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
   * Opens the sandbox's /tmp through its first process. The path is the sandbox's root and a mount
   * point in it, which nobody inside can change. The process is looked for again afterwards, as its
   * number might be another's by then.
   */
  #openTmp(): number {
    if (this.#tmp !== undefined) return this.#tmp;
    const root = `/proc/${this.#options.pid}/root`;
    const tmp = openSync(join(root, SCRATCH), O_DIRECTORY | O_NOFOLLOW | O.CLOEXEC);
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
}

/** As the file system counts it: a link counts as a file does. */
function contentsOf(tmp: number): { entries: number; bytes: number } {
  const { files, ffree, blocks, bfree, bsize } = statfsSync(pathOf(tmp));
  return { entries: files - ffree - ROOT_INODES, bytes: (blocks - bfree) * bsize };
}

/** A path for Node's functions that is the descriptor itself (proc_pid_fd(5)). */
function pathOf(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

/**
 * Removes as much as may be done in one turn; whether that was all.
 * @throws Error when it is too much, and it is the last turn
 */
function emptied(directory: number, isLastTurn: boolean): boolean {
  const left = { entries: MOST_ENTRIES };
  try {
    emptyDirectory(directory, left, MOST_DEPTH_OF_FORK);
    return true;
  } catch (error) {
    if (isLastTurn || left.entries >= 0) throw error;
    return false;
  }
}

/** @throws Error when there are too many entries, or too many levels; SyscallError */
function emptyDirectory(directory: number, left: { entries: number }, depth: number): void {
  if (depth === 0) throw new Error("too deep a tree in /tmp");
  for (const entry of readdirSync(pathOf(directory), { encoding: "buffer", withFileTypes: true })) {
    const { name } = entry;
    left.entries -= 1;
    if (left.entries < 0) throw new Error(TOO_MANY_FILES);
    if (!entry.isDirectory()) {
      removeAt(directory, name, "file");
      continue;
    }
    const inner = openAt(directory, name, O_DIRECTORY | O_NOFOLLOW | O.CLOEXEC);
    try {
      emptyDirectory(inner, left, depth - 1);
    } finally {
      closeSync(inner);
    }
    removeAt(directory, name, "directory");
  }
}
