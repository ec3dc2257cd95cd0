/** openat2(2), for which the C library has no wrapper. */
import koffi from "koffi";
import { currentArchitecture } from "../abi/arch.ts";
import { RESOLVE_IN_ROOT } from "../abi/linux.ts";
import { SyscallError } from "./error.ts";

const OPENAT2 = currentArchitecture().syscalls.openat2 as number;
const raw: (number: number, directory: number, path: string, how: Buffer, size: number) => number = koffi
  .load("libc.so.6")
  .func("syscall", "long", ["long", "long", "str", "void *", "long"]) as never;

/**
 * Opens a path that is taken inside the directory as if that were the root.
 * @throws SyscallError
 */
export function openInRoot(directory: number, path: string, flags: number): number {
  // struct open_how: flags, mode, resolve.
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(flags), 0);
  how.writeBigUInt64LE(BigInt(RESOLVE_IN_ROOT), 16);
  const fd = raw(OPENAT2, directory, path, how, how.length);
  if (fd === -1) throw new SyscallError("openat2", koffi.errno(), path);
  return fd;
}
