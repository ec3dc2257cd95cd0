/**
 * Giving a fork its parent's heap. V8 maps its heap MADV_DONTFORK, so that a naive child dies at its first access; the
 * advice is taken back before each fork, as there are new mappings by then.
 */
import { readFileSync } from "node:fs";
import { MADV_DOFORK } from "../abi/linux.ts";
import { sys } from "../syscall/libc.ts";

const FIRST_PAGE = 0x1000n;
const LAST_ADDRESS = 0x7fff_ffff_e000n;

/** VmFlags of mappings that madvise(2) refuses with EINVAL, and stops at: io, pfnmap, mixedmap, dontexpand. */
const SPECIAL_FLAGS = ["io", "pf", "mm", "de"];

type Range = [from: bigint, to: bigint];

let ordinary: Range[] | undefined;

/**
 * Lets the next fork have all memory of this process. The ranges around the special mappings (the kernel's vvar) are
 * found once: a zygote that serves makes no more of those.
 * @throws SyscallError when the kernel refuses, as a fork would not live
 */
export function shareHeapWithForks(): void {
  ordinary ??= rangesBetween(specialMappings(readFileSync("/proc/self/smaps", "latin1")));
  for (const [from, to] of ordinary) sys.madvise(from, to, MADV_DOFORK);
}

/** Address ranges of the special mappings in a smaps file (proc_pid_smaps(5)), in order. */
export function specialMappings(smaps: string): Range[] {
  return smaps.split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/).flatMap((block): Range[] => {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(block) ?? [];
    const flags = /^VmFlags: (.*)$/m.exec(block)?.[1]?.split(" ") ?? [];
    const special = from && to && SPECIAL_FLAGS.some((flag) => flags.includes(flag));
    return special ? [[BigInt(`0x${from}`), BigInt(`0x${to}`)]] : [];
  });
}

/** The rest of the user address range. */
export function rangesBetween(taken: readonly Range[]): Range[] {
  const starts = [FIRST_PAGE, ...taken.map(([, to]) => to)];
  const ends = [...taken.map(([from]) => from), LAST_ADDRESS];
  return starts.flatMap((from, index): Range[] => {
    const to = ends[index] as bigint;
    return from < to ? [[from, to]] : [];
  });
}
