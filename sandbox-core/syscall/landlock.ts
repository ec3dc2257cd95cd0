/**
 * Landlock (landlock(7)): a process gives up what no rule of its ruleset grants, for itself and all
 * that it forks.
 */
import { currentArchitecture } from "../abi/arch.ts";
import { LANDLOCK } from "../abi/linux.ts";
import { SyscallError } from "./error.ts";
import { sys } from "./libc.ts";

const {
  landlock_create_ruleset: CREATE = -1,
  landlock_add_rule: ADD = -1,
  landlock_restrict_self: RESTRICT = -1,
} = currentArchitecture().syscalls;

// struct landlock_ruleset_attr, and the packed struct landlock_path_beneath_attr. They are made
// once, before any fork: memory that a fork has to make is its own page faults.
const RULESET = Buffer.alloc(24);
const PATH_BENEATH = Buffer.alloc(12);

/**
 * The version of Landlock's interface, from 1 on; 0 where the kernel has none
 * (landlock_create_ruleset(2)).
 */
export function landlockAbi(): number {
  try {
    return sys.syscall("landlock_create_ruleset", CREATE, 0, 0, LANDLOCK.CREATE_RULESET_VERSION);
  } catch (error) {
    if (error instanceof SyscallError) return 0;
    throw error;
  }
}

/**
 * A descriptor of a new ruleset that takes these rights over files (`LANDLOCK_FS`) and these scopes
 * away (landlock_create_ruleset(2)). An older kernel takes the longer structure as long as what it
 * does not know is zero.
 * @throws SyscallError, EINVAL or E2BIG for what the kernel does not know
 */
export function createRuleset(rights: number, scopes: number): number {
  RULESET.writeBigUInt64LE(BigInt(rights), 0);
  RULESET.writeBigUInt64LE(BigInt(scopes), 16);
  return sys.createRuleset(CREATE, RULESET, RULESET.length, 0);
}

/**
 * Grants rights over the file or directory behind a descriptor, and all below it
 * (landlock_add_rule(2)).
 * @throws SyscallError
 */
export function allowBeneath(ruleset: number, file: number, rights: number): void {
  PATH_BENEATH.writeBigUInt64LE(BigInt(rights), 0);
  PATH_BENEATH.writeInt32LE(file, 8);
  sys.addRule(ADD, ruleset, LANDLOCK.RULE_PATH_BENEATH, PATH_BENEATH, 0);
}

/**
 * Puts the ruleset on the calling thread, which has no_new_privs (landlock_restrict_self(2)).
 * @throws SyscallError
 */
export function restrictSelf(ruleset: number, flags: number): void {
  sys.syscall("landlock_restrict_self", RESTRICT, ruleset, flags);
}
