/**
 * Runs a classic BPF program over one system call, as the kernel does, and reads it: for tests of
 * filters.
 */
import { BPF, SECCOMP_RET } from "../../sandbox-core/abi/linux.ts";
import type { Instruction } from "../../sandbox-core/seccomp/assembler.ts";

export interface SystemCall {
  number: number;
  arch: number;
  args?: bigint[];
}

interface Machine {
  accumulator: number;
  data: Buffer;
}

/** What an instruction does to the machine, and how many instructions it jumps over. */
const EFFECTS: Record<number, (machine: Machine, instruction: Instruction) => number> = {
  [BPF.LD_W_ABS]: (machine, { k }) => {
    machine.accumulator = machine.data.readUInt32LE(k);
    return 0;
  },
  [BPF.ALU_AND_K]: (machine, { k }) => {
    machine.accumulator = (machine.accumulator & k) >>> 0;
    return 0;
  },
  [BPF.JMP_JA]: (_, { k }) => k,
  [BPF.JMP_JEQ_K]: ({ accumulator }, { k, jt, jf }) => (accumulator === k >>> 0 ? jt : jf),
  [BPF.JMP_JGE_K]: ({ accumulator }, { k, jt, jf }) => (accumulator >= k >>> 0 ? jt : jf),
};

/**
 * Runs the filter and gives its answer; `visited` gets the places of the instructions that ran.
 * @throws Error when the program leaves its own bounds or the set of instructions we use
 */
export function interpret(program: readonly Instruction[], call: SystemCall, visited?: Set<number>): number {
  const machine = { accumulator: 0, data: seccompData(call) };
  for (let at = 0; at < program.length; at++) {
    const instruction = program[at] as Instruction;
    visited?.add(at);
    if (instruction.code === BPF.RET_K) return instruction.k >>> 0;
    const effect = EFFECTS[instruction.code];
    if (!effect) throw new Error(`unknown instruction 0x${instruction.code.toString(16)}`);
    at += effect(machine, instruction);
  }
  throw new Error("the program runs over its end");
}

/** struct seccomp_data (seccomp(2)). */
function seccompData({ number, arch, args = [] }: SystemCall): Buffer {
  const data = Buffer.alloc(64);
  data.writeInt32LE(number, 0);
  data.writeUInt32LE(arch, 4);
  for (const [index, value] of args.entries()) data.writeBigUInt64LE(BigInt.asUintN(64, value), 16 + index * 8);
  return data;
}

/** Names of the words of struct seccomp_data by their offsets. */
const WORDS: Record<number, string> = {
  0: "number",
  4: "arch",
  ...Object.fromEntries(
    [0, 1, 2, 3, 4, 5].flatMap((n) => [
      [16 + n * 8, `arg${n}`],
      [20 + n * 8, `arg${n}.high`],
    ]),
  ),
};

const ACTIONS: Record<number, string> = { [SECCOMP_RET.ALLOW]: "allow", [SECCOMP_RET.KILL_PROCESS]: "kill" };

/** An action of a filter in words: "allow", "kill", "errno 1". */
export function describeAction(action: number): string {
  return ACTIONS[action >>> 0] ?? `errno ${action & 0xffff}`;
}

/** What an instruction does, in words; jumps name the places that they lead to. */
const WORDINGS: Record<number, (at: number, instruction: Instruction) => string> = {
  [BPF.LD_W_ABS]: (_, { k }) => `load ${WORDS[k] ?? `byte ${k}`}`,
  [BPF.ALU_AND_K]: (_, { k }) => `and ${hex(k)}`,
  [BPF.JMP_JA]: (at, { k }) => `go to ${at + 1 + k}`,
  [BPF.JMP_JEQ_K]: (at, { k, jt, jf }) => `if = ${hex(k)} go to ${at + 1 + jt}, else ${at + 1 + jf}`,
  [BPF.JMP_JGE_K]: (at, { k, jt, jf }) => `if >= ${hex(k)} go to ${at + 1 + jt}, else ${at + 1 + jf}`,
  [BPF.RET_K]: (_, { k }) => describeAction(k),
};

/** The program for people, a line for each instruction: "12: if = 0x29 go to 14, else 13". */
export function disassemble(program: readonly Instruction[]): string[] {
  return program.map((instruction, at) => {
    const wording = WORDINGS[instruction.code];
    return `${at}: ${wording ? wording(at, instruction) : `unknown instruction ${hex(instruction.code)}`}`;
  });
}

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}
