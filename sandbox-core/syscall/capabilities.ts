/** Dropping every capability out of every set (capabilities(7)). */
import { readFileSync } from "node:fs";
import { CAPABILITY_VERSION_3, PR } from "../abi/linux.ts";
import { sys } from "./libc.ts";

/** The highest capability that this kernel knows; read once, by the zygote, before any fork. */
const LAST_CAPABILITY = Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8"));

/**
 * struct __user_cap_header_struct and two struct __user_cap_data_struct, all zero but the version.
 */
const HEADER = Buffer.alloc(8);
HEADER.writeUInt32LE(CAPABILITY_VERSION_3, 0);
const NONE = Buffer.alloc(24);

/**
 * Empties the bounding, ambient, inheritable, permitted and effective sets of the calling thread.
 * The bounding set goes first: dropping from it takes a capability.
 * @throws SyscallError
 */
export function dropCapabilities(): void {
  for (let capability = 0; capability <= LAST_CAPABILITY; capability++) sys.prctl(PR.CAPBSET_DROP, capability, 0, 0, 0);
  sys.prctl(PR.CAP_AMBIENT, PR.CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  sys.capset(HEADER, NONE);
}
