/**
 * Namespaces and mounts: the part of `sys` that decides which files, processes and networks a
 * process sees.
 */
import koffi from "koffi";
import { currentArchitecture } from "../abi/arch.ts";
import { checked, first, firstTwo } from "./checked.ts";

const libc = koffi.load("libc.so.6");

const PIVOT_ROOT = currentArchitecture().syscalls.pivot_root as number;
const rawPivotRoot: (number: number, newRoot: string, putOld: string) => number = libc.func("syscall", "long", [
  "long",
  "str",
  "str",
]) as never;

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
  sethostname: checked(
    "sethostname",
    libc.func("int sethostname(const char *name, size_t length)") as (name: string, length: number) => number,
  ),
};
