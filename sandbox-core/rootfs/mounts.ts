/** The mounts that a sandbox makes for itself, as data, and the step into its root. */
import { join } from "node:path";
import { MNT_DETACH, MS } from "../abi/linux.ts";
import type { SandboxLimits } from "../contract/sandbox.ts";
import { sys } from "../syscall/libc.ts";

interface Mount {
  source: string;
  /** Relative to the new root. */
  target: string;
  type: string;
  flags: number;
  data: string;
}

/**
 * Proc shows a sandbox its own processes alone (proc(5)): nothing of the kernel's, nothing of
 * anybody else's. The mount is read-only: writing to a process's `mem` goes past the protection of
 * its pages, and nothing else there needs writing.
 */
const proc: Mount = {
  source: "proc",
  target: "proc",
  type: "proc",
  flags: MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC,
  data: "hidepid=invisible,subset=pid",
};

const tmp = ({ tmpBytes, tmpInodes }: SandboxLimits, target: string): Mount => ({
  source: "tmp",
  target,
  type: "tmpfs",
  flags: MS.NOSUID | MS.NODEV | MS.NOEXEC,
  data: `mode=1777,size=${tmpBytes},nr_inodes=${tmpInodes}`,
});

/**
 * The mounts of one sandbox over its root, the file system of its /tmp below it at `tmpAt`. The pid
 * namespace must be the sandbox's own by now: proc shows that one.
 */
export function mountOwn(root: string, limits: SandboxLimits, tmpAt: string, hasProc = true): void {
  for (const { source, target, type, flags, data } of [...(hasProc ? [proc] : []), tmp(limits, tmpAt)])
    sys.mount(source, join(root, target), type, flags, data);
}

/**
 * Makes `root` the root and drops the old one: pivot_root(2), section "pivot_root(".", ".")", which
 * needs no directory to put the old root in.
 */
export function pivotInto(root: string): void {
  sys.chdir(root);
  sys.pivotRoot(".", ".");
  sys.umount2(".", MNT_DETACH);
  sys.chdir("/");
}
