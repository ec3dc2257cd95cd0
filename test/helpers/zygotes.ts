/** The zygotes of this process, as /proc shows them. */
import { readdirSync, readFileSync } from "node:fs";

/** The process that a process is a child of. @throws Error when it is gone */
export function parentOf(pid: number): number {
  return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

export function childrenOf(parent: number): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      try {
        return pid > 0 && parentOf(pid) === parent;
      } catch {
        return false;
      }
    });
}

/**
 * Whether a process is the host's root, as a fork is that waits for its launch. @throws Error when
 * it is gone
 */
export function isRoots(pid: number): boolean {
  return /^Uid:\t0\t/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
}

/**
 * The children of a zygote that are sandboxes: a fork that waits for its launch is root's still.
 */
export function sandboxesOf(zygote: number): number[] {
  return childrenOf(zygote).filter((pid) => {
    try {
      return !isRoots(pid);
    } catch {
      return false;
    }
  });
}

/**
 * Children of this process that are zygotes, which have the socket of their launcher among their
 * arguments.
 */
export function zygotesHere(): number[] {
  return childrenOf(process.pid).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("worker.sock");
    } catch {
      return false;
    }
  });
}
