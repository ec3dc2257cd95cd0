/** Landlock's version, for those who want to know what a machine offers. */
import { currentArchitecture } from "../abi/arch.ts";
import { LANDLOCK } from "../abi/linux.ts";
import { SyscallError } from "./error.ts";
import { sys } from "./libc.ts";

/** The version of Landlock's interface, from 1 on; 0 where the kernel has none (landlock_create_ruleset(2)). */
export function landlockAbi(): number {
  const number = currentArchitecture().syscalls.landlock_create_ruleset;
  if (number === undefined) return 0;
  try {
    return sys.syscall("landlock_create_ruleset", number, 0, 0, LANDLOCK.CREATE_RULESET_VERSION);
  } catch (error) {
    if (error instanceof SyscallError) return 0;
    throw error;
  }
}
