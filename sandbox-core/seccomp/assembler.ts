/**
 * Turns a policy into a classic BPF program for seccomp(2). Every piece of code here ends in a
 * return or falls through to its own end, so that pieces are joined by their lengths alone.
 */
import type { Architecture } from "../abi/arch.ts";
import { BPF, SECCOMP_RET } from "../abi/linux.ts";
import type { Condition, Policy, Rule } from "./rule.ts";

/** struct sock_filter: 8 bytes, see include/uapi/linux/filter.h. */
export interface Instruction {
  code: number;
  jt: number;
  jf: number;
  k: number;
}

/** The jumps of a test are bytes. */
const LONGEST_JUMP = 255;

/** Offsets in struct seccomp_data (seccomp(2)). */
const DATA = { NR: 0, ARCH: 4, ARGS: 16 } as const;

/**
 * The program of `policy` for one architecture, as data. A foreign architecture is killed; then the
 * number is searched for by halving, since the kernel runs the whole program for every number that
 * there is when a filter is installed (seccomp_cache_prepare in kernel/seccomp.c), and that is once
 * a sandbox. Of a call's rules the first that matches wins.
 */
export function assemble(policy: Policy, architecture: Architecture): Instruction[] {
  return [
    load(DATA.ARCH),
    jumpIfEqual(architecture.auditArch, 1, 0),
    give(SECCOMP_RET.KILL_PROCESS),
    load(DATA.NR),
    ...search(segments(policy, architecture)),
  ];
}

/** Numbers from `from` up to the next segment, and what becomes of them. */
interface Segment {
  from: number;
  code: Instruction[];
}

/** The whole range of numbers in order, neighbours with the same fate joined. */
function segments(policy: Policy, architecture: Architecture): Segment[] {
  const otherwise = [give(policy.otherwise)];
  const found: Segment[] = [{ from: 0, code: otherwise }];
  const add = (from: number, code: Instruction[]) => {
    const last = found.at(-1) as Segment;
    if (last.from === from) found.pop();
    if (JSON.stringify(found.at(-1)?.code) !== JSON.stringify(code)) found.push({ from, code });
  };
  const rules = [...rulesByNumber(policy, architecture)].sort(([a], [b]) => a - b);
  for (const [number, ofNumber] of rules) {
    add(number, fateOf(ofNumber, policy));
    add(number + 1, otherwise);
  }
  if (architecture.x32Bit !== null) add(architecture.x32Bit, [give(SECCOMP_RET.KILL_PROCESS)]);
  return found;
}

/**
 * The instructions of one call's rules; instructions behind a rule that always matches would never
 * run.
 */
function fateOf(rules: readonly Rule[], policy: Policy): Instruction[] {
  const code = rules.flatMap(compileRule);
  return rules.at(-1)?.when ? [...code, give(policy.otherwise)] : code;
}

function search(all: readonly Segment[]): Instruction[] {
  if (all.length === 1) return (all[0] as Segment).code;
  const middle = all.length >> 1;
  const below = search(all.slice(0, middle));
  const from = (all[middle] as Segment).from;
  return [...skipIfAtLeast(from, below.length), ...below, ...search(all.slice(middle))];
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

/**
 * A rule's own block: its conditions, each of which jumps behind the block when it fails, and its
 * action.
 */
function compileRule(rule: Rule): Instruction[] {
  const parts = (rule.when ?? []).map(compileCondition);
  const length = parts.reduce((sum, part) => sum + part.length + 1, 0) + 1;
  const block: Instruction[] = [];
  for (const part of parts) {
    block.push(...part);
    // A condition leaves by falling through when it holds, and by its jump of one to here when it
    // fails.
    block.push({ code: BPF.JMP_JA, jt: 0, jf: 0, k: length - block.length - 1 });
  }
  block.push(give(rule.action));
  return block;
}

/**
 * Tests one argument. Falls two behind its end (over the failure jump) when it holds, else right
 * behind its end. Both halves of the 64-bit argument count: an argument that differs in its high
 * bits alone is another argument.
 */
function compileCondition(condition: Condition): Instruction[] {
  const low = DATA.ARGS + condition.argument * 8;
  const values = "oneOf" in condition ? condition.oneOf : [condition.equals];
  const masked = "mask" in condition && condition.mask !== undefined;
  const code: Instruction[] = [];
  code.push(load(low + 4), jumpIfEqual(0, 0, 0), load(low));
  if (masked) code.push({ code: BPF.ALU_AND_K, jt: 0, jf: 0, k: condition.mask as number });
  for (const value of values) code.push(jumpIfEqual(value, 0, 0));
  return resolve(code);
}

/** Where the jump of the upper half stands in the code of a condition. */
const HIGH_TEST = 1;

/**
 * Fills in the offsets: a value that matches jumps over the failure jump, the high half that does
 * not fails.
 */
function resolve(code: Instruction[]): Instruction[] {
  const end = code.length;
  return code.map((instruction, index) => {
    if (instruction.code !== BPF.JMP_JEQ_K) return instruction;
    if (index === HIGH_TEST) return { ...instruction, jt: 0, jf: end - index - 1 };
    return { ...instruction, jt: end - index, jf: 0 };
  });
}

/** Goes on behind the next `length` instructions when the loaded number is `number` or more. */
function skipIfAtLeast(number: number, length: number): Instruction[] {
  const test = { code: BPF.JMP_JGE_K, jt: length, jf: 0, k: number };
  if (length <= LONGEST_JUMP) return [test];
  return [
    { ...test, jt: 0, jf: 1 },
    { code: BPF.JMP_JA, jt: 0, jf: 0, k: length },
  ];
}

const load = (offset: number): Instruction => ({ code: BPF.LD_W_ABS, jt: 0, jf: 0, k: offset });
const jumpIfEqual = (k: number, jt: number, jf: number): Instruction => ({ code: BPF.JMP_JEQ_K, jt, jf, k });
const give = (k: number): Instruction => ({ code: BPF.RET_K, jt: 0, jf: 0, k });
