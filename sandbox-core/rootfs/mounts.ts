/** What a sandbox mounts for itself, as data, and the step into its root. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { MNT_DETACH, MS } from "../abi/linux.ts";
import type { SandboxLimits } from "../index.ts";
import { sys } from "../syscall/libc.ts";

/** A file or directory of the host that a program may see, read-only unless `writable`. */
export interface Bind {
  source: string;
  /** Absolute path inside. */
  target: string;
  kind: "file" | "directory";
  /** Whether programs in it may be started. */
  executable: boolean;
}

interface Mount {
  source: string;
  /** Relative to the new root. */
  target: string;
  type: string;
  flags: number;
  data: string;
}

/**
 * Proc shows a sandbox its own processes alone (proc(5)): nothing of the kernel's, nothing of anybody else's. It is
 * read-only: writing to a process's `mem` goes past the protection of its pages, and nothing else there needs writing.
 */
const proc: Mount = {
  source: "proc",
  target: "proc",
  type: "proc",
  flags: MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC,
  data: "hidepid=invisible,subset=pid",
};

const tmp = ({ tmpBytes, tmpInodes }: SandboxLimits): Mount => ({
  source: "tmp",
  target: "tmp",
  type: "tmpfs",
  flags: MS.NOSUID | MS.NODEV | MS.NOEXEC,
  data: `mode=1777,size=${tmpBytes},nr_inodes=${tmpInodes}`,
});

/** The mounts of one sandbox over its root. The pid namespace must be the sandbox's own by now: proc shows that one. */
export function mountOwn(root: string, limits: SandboxLimits): void {
  for (const { source, target, type, flags, data } of [proc, tmp(limits)])
    sys.mount(source, join(root, target), type, flags, data);
}

/**
 * A root for a program: a tmpfs on `root` with what `template` has of /etc and /dev, and the binds, each read-only.
 * @throws SyscallError, or Error of the file system when a bind's source is not there
 */
export function buildProgramRoot(root: string, template: string, binds: readonly Bind[]): void {
  const flags = MS.NOSUID | MS.NODEV;
  sys.mount("sandpiper", root, "tmpfs", flags, "mode=0755,size=1m,nr_inodes=4096");
  for (const point of ["proc", "tmp", "dev", "etc"]) mkdirSync(join(root, point));
  sys.mount(join(template, "etc"), join(root, "etc"), null, MS.BIND, null);
  sys.mount(join(template, "dev"), join(root, "dev"), null, MS.BIND | MS.REC, null);
  for (const bind of binds) bindInto(root, bind);
  sys.mount(null, root, null, MS.REMOUNT | MS.BIND | MS.RDONLY | MS.NOEXEC | flags, null);
}

function bindInto(root: string, { source, target, kind, executable }: Bind): void {
  const point = join(root, target);
  mkdirSync(kind === "directory" ? point : dirname(point), { recursive: true });
  if (kind === "file") writeFileSync(point, "");
  sys.mount(source, point, null, MS.BIND, null);
  const noexec = executable ? 0 : MS.NOEXEC;
  sys.mount(null, point, null, MS.REMOUNT | MS.BIND | MS.RDONLY | MS.NOSUID | MS.NODEV | noexec, null);
}

/**
 * Makes `root` the root and drops the old one: pivot_root(2), section "pivot_root(".", ".")", which needs no directory
 * to put the old root in.
 */
export function pivotInto(root: string): void {
  sys.chdir(root);
  sys.pivotRoot(".", ".");
  sys.umount2(".", MNT_DETACH);
  sys.chdir("/");
}
