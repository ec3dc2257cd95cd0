/** System calls made by native code in a sandbox, and what became of each. */
import { constants } from "node:os";
import { currentArchitecture, type SyscallName } from "../../../sandbox-core/abi/arch.ts";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { plan, runNatively } from "./inject.ts";

export interface Attempt {
  number: number | bigint;
  args?: readonly (number | bigint)[];
  /** Through the entry of 32-bit programs. */
  foreign?: boolean;
}

/**
 * "ok" with any result that is no error, the name of an error, or the name of the signal that ended
 * the caller.
 */
export type Fate = string;

const RECORD_BYTES = 64;
const MOST_RECORDS = 4_000;

const ERRORS = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));
const SIGNALS = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/**
 * Makes each call in a process of its own, which shares the caller's memory, and says what became
 * of it.
 */
export async function attemptAll(launcher: ZygoteLauncher, attempts: readonly Attempt[]): Promise<Fate[]> {
  const fates: Fate[] = [];
  for (let from = 0; from < attempts.length; from += MOST_RECORDS) {
    const some = attempts.slice(from, from + MOST_RECORDS);
    const lines = await runNatively(launcher, plan("calls", some.length, Buffer.concat(some.map(record))));
    if (lines.length !== some.length) throw new Error(`${lines.length} results of ${some.length} calls`);
    fates.push(...lines.map(fate));
  }
  return fates;
}

/** The number of a call on this machine, or undefined where it has none. */
export function numberOf(name: SyscallName): number | undefined {
  return currentArchitecture().syscalls[name];
}

export function errorName(errno: number): string {
  return ERRORS.get(errno) ?? `error ${errno}`;
}

function record({ number, args = [], foreign = false }: Attempt): Buffer {
  const words = Buffer.alloc(RECORD_BYTES);
  [foreign ? 1 : 0, number, ...args].forEach((word, index) => {
    words.writeBigUInt64LE(BigInt.asUintN(64, BigInt(word)), index * 8);
  });
  return words;
}

/** A line of hostile.c: whether the call returned, its result, the wait status of its process. */
function fate(line: string): Fate {
  const [returned = 0, result = 0, status = 0] = line.split(" ").map(Number);
  if (returned < 0) return `not tried: ${errorName(-returned)}`;
  if (returned === 0) return SIGNALS.get(status & 0x7f) ?? `exit code ${status >> 8}`;
  return result < 0 && result > -4096 ? errorName(-result) : "ok";
}
