/** The parts that policies are made of. */
import type { SyscallName } from "../abi/arch.ts";
import { SECCOMP_RET } from "../abi/linux.ts";

/**
 * A test of one argument: equal to a value, or to one of several, after a mask of its lower half
 * where there is one. All 64 bits count, also of what the kernel reads as 32 bits: the C library
 * leaves the upper half empty, and who does not is trying something.
 */
export type Condition = { argument: 0 | 1 | 2 | 3 | 4 | 5; mask?: number } & (
  | { equals: number }
  | { oneOf: readonly number[] }
);

export interface Rule {
  calls: readonly SyscallName[];
  reason: string;
  /** All must hold; a rule without conditions always matches. */
  when?: readonly Condition[];
  action: number;
}

export interface Policy {
  rules: readonly Rule[];
  otherwise: number;
}

/** The answer of a call that is refused with this error. */
export const errno = (number: number) => SECCOMP_RET.ERRNO | number;

/** A mask of all bits but these. */
export const allBut = (bits: number) => ~bits >>> 0;

/** A rule that allows, always or when all conditions hold. */
export const allow = (reason: string, calls: readonly SyscallName[], when?: readonly Condition[]): Rule => ({
  calls,
  reason,
  action: SECCOMP_RET.ALLOW,
  ...(when ? { when } : {}),
});
/** A rule that refuses with an error, always or when all conditions hold. */
export const refuse = (
  reason: string,
  number: number,
  calls: readonly SyscallName[],
  when?: readonly Condition[],
): Rule => ({
  calls,
  reason,
  action: errno(number),
  ...(when ? { when } : {}),
});
/** A rule by which calls do nothing and say that they did. */
export const pretend = (reason: string, calls: readonly SyscallName[], when?: readonly Condition[]): Rule => ({
  calls,
  reason,
  action: errno(0),
  ...(when ? { when } : {}),
});
