/**
 * Namespaces and mounts: the part of `sys` that decides which files, processes and networks a
 * process sees.
 */
import koffi from "koffi";
import { currentArchitecture } from "../abi/arch.ts";
import { AT_FDCWD, MOVE_MOUNT_F_EMPTY_PATH } from "../abi/linux.ts";
import { checked, first, firstTwo } from "./checked.ts";

const libc = koffi.load("libc.so.6");

const PIVOT_ROOT = currentArchitecture().syscalls.pivot_root as number;
const rawPivotRoot: (number: number, newRoot: string, putOld: string) => number = libc.func("syscall", "long", [
  "long",
  "str",
  "str",
]) as never;

const { open_tree: OPEN_TREE, move_mount: MOVE_MOUNT } = currentArchitecture().syscalls as Record<string, number>;
const rawOpenTree: (number: number, directory: number, path: string, flags: number) => number = libc.func(
  "syscall",
  "long",
  ["long", "long", "str", "long"],
) as never;
const rawMoveMount: (number: number, tree: number, none: string, at: number, path: string, flags: number) => number =
  libc.func("syscall", "long", ["long", "long", "str", "long", "str", "long"]) as never;

export const namespaceCalls = {
  unshare: checked(
    "unshare",
    libc.func("int unshare(int flags)") as (flags: number) => number,
    (flags) => `0x${flags.toString(16)}`,
  ),
  setns: checked("setns", libc.func("int setns(int fd, int nstype)") as (fd: number, kind: number) => number),
  mount: checked(
    "mount",
    libc.func(
      "int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)",
    ) as (source: string | null, target: string, type: string | null, flags: number, data: string | null) => number,
    firstTwo,
  ),
  umount2: checked(
    "umount2",
    libc.func("int umount2(const char *target, int flags)") as (target: string, flags: number) => number,
    first,
  ),
  /** pivot_root(2); the C library has no wrapper. */
  pivotRoot: checked(
    "pivot_root",
    (newRoot: string, putOld: string) => rawPivotRoot(PIVOT_ROOT, newRoot, putOld),
    firstTwo,
  ),
  /** open_tree(2) of a path; the C library may have no wrapper. */
  openTree: checked(
    "open_tree",
    (path: string, flags: number) => rawOpenTree(OPEN_TREE as number, AT_FDCWD, path, flags),
    first,
  ),
  /** move_mount(2) of the tree that a descriptor is, to a path. */
  moveMount: checked(
    "move_mount",
    (tree: number, path: string) =>
      rawMoveMount(MOVE_MOUNT as number, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH),
    firstTwo,
  ),
  fchdir: checked("fchdir", libc.func("int fchdir(int fd)") as (fd: number) => number, first),
  chroot: checked("chroot", libc.func("int chroot(const char *path)") as (path: string) => number, first),
  sethostname: checked(
    "sethostname",
    libc.func("int sethostname(const char *name, size_t length)") as (name: string, length: number) => number,
  ),
};
