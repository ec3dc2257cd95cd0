/**
 * A second opinion on policies: what their rules mean, said without a filter, and the calls that
 * tell rules apart.
 */
import type { Architecture, SyscallName } from "../../sandbox-core/abi/arch.ts";
import { SECCOMP_RET } from "../../sandbox-core/abi/linux.ts";
import type { Condition, Policy, Rule } from "../../sandbox-core/seccomp/rule.ts";
import type { SystemCall } from "./bpf.ts";

/** The kernel's numbers of calls are 32 bits, and x86-64's x32 ones begin here. */
const UNSIGNED = 2 ** 32;
const ALL_BITS = 2n ** 64n - 1n;
const UPPER_BITS = ALL_BITS - (2n ** 32n - 1n);
/** Bits of the upper half that a lazy filter would not see. */
const HIGH_BITS = [1n << 32n, 1n << 40n, 1n << 63n];

/** Those that a mask keeps, and those that it leaves out. */
const EACH_BIT = Array.from({ length: 32 }, (_, bit) => 1n << BigInt(bit));

/** The policy's decision on a call, by its rules in their order. */
export function decide(policy: Policy, architecture: Architecture, { number, arch, args = [] }: SystemCall): number {
  if (arch !== architecture.auditArch) return SECCOMP_RET.KILL_PROCESS;
  const unsigned = number < 0 ? number + UNSIGNED : number;
  if (architecture.x32Bit !== null && unsigned >= architecture.x32Bit) return SECCOMP_RET.KILL_PROCESS;
  const rule = policy.rules.find(
    ({ calls, when = [] }) =>
      calls.some((call) => architecture.syscalls[call] === unsigned) &&
      when.every((condition) => holds(condition, args[condition.argument] ?? 0n)),
  );
  return (rule?.action ?? policy.otherwise) >>> 0;
}

function holds(condition: Condition, value: bigint): boolean {
  const mask = condition.mask === undefined ? ALL_BITS : UPPER_BITS | BigInt(condition.mask >>> 0);
  return valuesOf(condition).some((wanted) => (value & mask) === BigInt(wanted >>> 0));
}

/** The values that a condition compares with. */
export function valuesOf(condition: Condition): readonly number[] {
  return "oneOf" in condition ? condition.oneOf : [condition.equals];
}

/**
 * A call with every combination of arguments that makes any of its rules hold, nearly hold, or hold
 * but for high bits.
 */
export function casesOf(policy: Policy, architecture: Architecture, call: SyscallName): SystemCall[] {
  const number = architecture.syscalls[call];
  if (number === undefined) return [];
  const conditions = rulesOf(policy, call).flatMap(({ when = [] }) => when);
  let cases: bigint[][] = [[0n, 0n, 0n, 0n, 0n, 0n]];
  for (const argument of new Set(conditions.map((condition) => condition.argument))) {
    const values = telling(conditions.filter((condition) => condition.argument === argument));
    cases = cases.flatMap((args) => values.map((value) => args.with(argument, value)));
  }
  return cases.map((args) => ({ number, arch: architecture.auditArch, args }));
}

export function rulesOf(policy: Policy, call: SyscallName): Rule[] {
  return policy.rules.filter(({ calls }) => calls.includes(call));
}

/** Values of an argument that tell these conditions apart. */
function telling(conditions: readonly Condition[]): bigint[] {
  const wanted = conditions.flatMap(valuesOf).map((value) => BigInt(value >>> 0));
  const near = wanted.flatMap((value) => [
    value,
    value + 1n,
    value ^ (1n << 31n),
    ...HIGH_BITS.map((bit) => value | bit),
  ]);
  const masked = conditions.some(({ mask }) => mask !== undefined);
  const beside = masked ? EACH_BIT.flatMap((bit) => wanted.map((value) => value ^ bit)) : [];
  return [...new Set([0n, ALL_BITS, 2n ** 32n - 1n, ...near, ...beside])];
}
