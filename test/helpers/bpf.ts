/** Runs a classic BPF program over one system call, as the kernel does: for tests that execute filters. */
import { BPF } from "../../sandbox-core/abi/linux.ts";
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

/** What the filter answers. Throws when the program leaves its own bounds or the set of instructions we use. */
export function interpret(program: readonly Instruction[], call: SystemCall): number {
  const machine = { accumulator: 0, data: seccompData(call) };
  for (let at = 0; at < program.length; at++) {
    const instruction = program[at] as Instruction;
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
