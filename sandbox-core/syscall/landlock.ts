/** Landlock's version, for those who want to know what a machine offers. */
import koffi from "koffi";
import { currentArchitecture } from "../abi/arch.ts";
import { LANDLOCK_CREATE_RULESET_VERSION } from "../abi/linux.ts";

const syscall: (number: number, attributes: null, size: number, flags: number) => number = koffi
  .load("libc.so.6")
  .func("long syscall(long number, const void *attributes, size_t size, unsigned int flags)");

/** The version of Landlock's interface, from 1 on; 0 where the kernel has none (landlock_create_ruleset(2)). */
export function landlockAbi(): number {
  const { syscalls } = currentArchitecture();
  const number = syscalls.landlock_create_ruleset;
  if (number === undefined) return 0;
  return Math.max(0, syscall(number, null, 0, LANDLOCK_CREATE_RULESET_VERSION));
}
