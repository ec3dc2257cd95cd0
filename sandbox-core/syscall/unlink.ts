/**
 * Removing what is in a directory by its descriptor: no step of it follows a link, or looks at more
 * than one name.
 */
import koffi from "koffi";
import { AT_REMOVEDIR } from "../abi/linux.ts";
import { SyscallError } from "./error.ts";

const libc = koffi.load("libc.so.6");
type At = (directory: number, name: Buffer, flags: number) => number;
const rawOpen = libc.func("int openat(int directory, const void *name, int flags)") as At;
const rawUnlink = libc.func("int unlinkat(int directory, const void *name, int flags)") as At;

/**
 * Opens an entry of a directory (openat(2)). `name` is one, without a slash.
 * @throws SyscallError
 */
export function openAt(directory: number, name: Buffer, flags: number): number {
  const fd = rawOpen(directory, terminated(name), flags);
  if (fd === -1) throw new SyscallError("openat", koffi.errno());
  return fd;
}

/**
 * Removes an entry of a directory (unlinkat(2)): a file of any kind, or with `kind` an empty
 * directory.
 * @throws SyscallError
 */
export function removeAt(directory: number, name: Buffer, kind: "file" | "directory"): void {
  const result = rawUnlink(directory, terminated(name), kind === "file" ? 0 : AT_REMOVEDIR);
  if (result === -1) throw new SyscallError("unlinkat", koffi.errno());
}

function terminated(name: Buffer): Buffer {
  return Buffer.concat([name, Buffer.of(0)]);
}
