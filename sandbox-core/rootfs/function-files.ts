/**
 * The files that a function finds beside its code. Most functions have none, and no sandbox knows
 * its function when it is made: so each root has an empty directory for them, and they are mounted
 * there when a function is loaded that has some.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { MNT_DETACH, MS, OPEN_TREE } from "../abi/linux.ts";
import { sys } from "../syscall/libc.ts";
import { emptyIn, FUNCTION, mountView } from "./base.ts";

/** Where a view is mounted for the moment in which a descriptor of it is made. */
const PLACE = "included";

/**
 * A view of the files in `source`, read-only and with inodes of its own, as a descriptor of a mount
 * that is nowhere yet. `directory` is the launcher's.
 * @throws SyscallError
 */
export function openView(directory: string, source: string): number {
  const place = join(directory, PLACE);
  mkdirSync(place, { recursive: true });
  mountView({ lower: source, empty: emptyIn(directory), place, flags: MS.NOSUID | MS.NODEV | MS.NOEXEC });
  try {
    return sys.openTree(place, OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC);
  } finally {
    sys.umount2(place, MNT_DETACH);
  }
}

/** Puts a view in its place, in the mount namespace that the caller is in. @throws SyscallError */
export function attachView(view: number): void {
  sys.moveMount(view, `/${FUNCTION}`);
}
