/**
 * Finding a path inside a root as a process in it would: every link on the way, absolute ones and
 * "..", stays inside (RESOLVE_IN_ROOT of openat2(2)). A root is somebody else's, and a link in it
 * must not lead a mount to the host.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { O } from "../abi/linux.ts";
import { SyscallError } from "../syscall/error.ts";
import { sys } from "../syscall/libc.ts";

/**
 * Calls `use` with a path of this process's that leads to `target` inside `root`, made as `kind`
 * where it is missing.
 * @throws Error when it is missing and cannot be made, or what `use` throws
 */
export function withPlace(root: string, target: string, kind: "file" | "directory", use: (path: string) => void): void {
  const rootFd = sys.open(root, O.PATH | O.CLOEXEC);
  let place: number | undefined;
  try {
    place = find(rootFd, target) ?? make(rootFd, target, kind);
    use(pathOf(place));
  } finally {
    if (place !== undefined) sys.close(place);
    sys.close(rootFd);
  }
}

/** Whether a process in the root would find something at a path. @throws SyscallError */
export function isInRoot(root: string, target: string): boolean {
  const rootFd = sys.open(root, O.PATH | O.CLOEXEC);
  try {
    const place = find(rootFd, target);
    if (place !== undefined) sys.close(place);
    return place !== undefined;
  } finally {
    sys.close(rootFd);
  }
}

/** A descriptor of what is there, or undefined when nothing is. */
function find(rootFd: number, target: string): number | undefined {
  try {
    return sys.openInRoot(rootFd, target, O.PATH | O.CLOEXEC);
  } catch (error) {
    if (error instanceof SyscallError && error.code === "ENOENT") return undefined;
    throw error;
  }
}

function make(rootFd: number, target: string, kind: "file" | "directory"): number {
  const path = normalize(target);
  const parent = find(rootFd, dirname(path)) ?? make(rootFd, dirname(path), "directory");
  const inParent = join(pathOf(parent), path.slice(dirname(path).length));
  try {
    if (kind === "directory") mkdirSync(inParent);
    else writeFileSync(inParent, "", { flag: "wx" });
  } catch (error) {
    const { syscall, code } = error as NodeJS.ErrnoException;
    throw new Error(
      `${path} is not there inside the root and cannot be made (${syscall}: ${code}): use one that is there`,
    );
  } finally {
    sys.close(parent);
  }
  return sys.openInRoot(rootFd, path, O.PATH | O.CLOEXEC);
}

function pathOf(fd: number): string {
  return `/proc/self/fd/${fd}`;
}
