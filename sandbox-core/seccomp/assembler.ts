/**
 * Turns a policy into a classic BPF program for seccomp(2). Jumps are by label here and by offset there; a jump of
 * more than 255 instructions does not fit its byte, so far targets are reached by returning in place.
 */
import type { Architecture } from "../abi/arch.ts";
import { BPF, SECCOMP_RET } from "../abi/linux.ts";
import type { Condition, Policy, Rule } from "./policy.ts";

/** struct sock_filter: 8 bytes, see include/uapi/linux/filter.h. */
export interface Instruction {
  code: number;
  jt: number;
  jf: number;
  k: number;
}

/** Offsets in struct seccomp_data (seccomp(2)). */
const DATA = { NR: 0, ARCH: 4, ARGS: 16 } as const;

/**
 * The program of `policy` for one architecture, as data. Calls that the architecture does not have are left out.
 * Order: a foreign architecture is killed; then each call's rules, the first that matches wins; then the default.
 */
export function assemble(policy: Policy, architecture: Architecture): Instruction[] {
  const program: Instruction[] = [
    load(DATA.ARCH),
    jumpIfEqual(architecture.auditArch, 1, 0),
    give(SECCOMP_RET.KILL_PROCESS),
    load(DATA.NR),
  ];
  if (architecture.x32Bit !== null)
    program.push({ code: BPF.JMP_JGE_K, jt: 0, jf: 1, k: architecture.x32Bit }, give(SECCOMP_RET.KILL_PROCESS));
  for (const [number, rules] of rulesByNumber(policy, architecture)) {
    const block = rules.flatMap(compileRule);
    // Every block ends the program or falls through to its own default, so a skipped block is one jump.
    block.push(give(policy.otherwise));
    program.push(...skipUnless(number, block.length), ...block);
  }
  program.push(give(policy.otherwise));
  return program;
}

/** The program as the kernel reads it. */
export function encode(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(({ code, jt, jf, k }, index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(jt, index * 8 + 2);
    bytes.writeUInt8(jf, index * 8 + 3);
    bytes.writeUInt32LE(k >>> 0, index * 8 + 4);
  });
  return bytes;
}

function rulesByNumber(policy: Policy, architecture: Architecture): Map<number, Rule[]> {
  const found = new Map<number, Rule[]>();
  for (const rule of policy.rules)
    for (const name of rule.calls) {
      const number = architecture.syscalls[name];
      if (number !== undefined) found.set(number, [...(found.get(number) ?? []), rule]);
    }
  return found;
}

/** A rule's own block: its conditions, each of which jumps behind the block when it fails, and its action. */
function compileRule(rule: Rule): Instruction[] {
  const parts = (rule.when ?? []).map(compileCondition);
  const length = parts.reduce((sum, part) => sum + part.length + 1, 0) + 1;
  const block: Instruction[] = [];
  for (const part of parts) {
    block.push(...part);
    // A condition leaves by falling through when it holds, and by its jump of one to here when it fails.
    block.push({ code: BPF.JMP_JA, jt: 0, jf: 0, k: length - block.length - 1 });
  }
  block.push(give(rule.action));
  return block;
}

/**
 * Tests one argument. Falls two behind its end (over the failure jump) when it holds, else right behind its end. Both
 * halves of the 64-bit argument count: an argument that differs in its high bits alone is another argument.
 */
function compileCondition(condition: Condition): Instruction[] {
  const low = DATA.ARGS + condition.argument * 8;
  const values = "oneOf" in condition ? condition.oneOf : [condition.equals];
  const masked = "mask" in condition && condition.mask !== undefined;
  const code: Instruction[] = [];
  // The kernel reads a 32-bit argument's low half alone, so `wide: false` leaves the high half out.
  const highTest = condition.wide === false ? [] : [load(low + 4), jumpIfEqual(0, 0, 0)];
  code.push(...highTest, load(low));
  if (masked) code.push({ code: BPF.ALU_AND_K, jt: 0, jf: 0, k: condition.mask as number });
  for (const value of values) code.push(jumpIfEqual(value, 0, 0));
  return resolve(code, highTest.length > 0);
}

/** Fills in the offsets: a value that matches jumps over the failure jump, the high half that does not fails. */
function resolve(code: Instruction[], testsHigh: boolean): Instruction[] {
  const end = code.length;
  return code.map((instruction, index) => {
    if (instruction.code !== BPF.JMP_JEQ_K) return instruction;
    if (testsHigh && index === 1) return { ...instruction, jt: 0, jf: end - index - 1 };
    return { ...instruction, jt: end - index, jf: 0 };
  });
}

/** Goes on into the next `length` instructions when the loaded number is `number`, else behind them. */
function skipUnless(number: number, length: number): Instruction[] {
  if (length <= 255) return [jumpIfEqual(number, 0, length)];
  return [jumpIfEqual(number, 1, 0), { code: BPF.JMP_JA, jt: 0, jf: 0, k: length }];
}

const load = (offset: number): Instruction => ({ code: BPF.LD_W_ABS, jt: 0, jf: 0, k: offset });
const jumpIfEqual = (k: number, jt: number, jf: number): Instruction => ({ code: BPF.JMP_JEQ_K, jt, jf, k });
const give = (k: number): Instruction => ({ code: BPF.RET_K, jt: 0, jf: 0, k });
