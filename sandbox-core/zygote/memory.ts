/**
 * Moves a zygote's memory together before it forks. A fork copies the entry of every page and a
 * table for every two mebibytes that have one, and its end gives all of that back: both are most of
 * the cost of a fork. V8 asks for each 256 KiB of its heap at a random address, and so each of
 * these costs every fork a mapping and three pages of tables.
 *
 * So V8 collects all of its heap once more and copies it while every address that it might ask for
 * is taken. The kernel then gives it free addresses beside the libraries, one piece under the
 * other, as random as the libraries' own. The addresses are free again before the first fork:
 * memory that tenants allocate lies where V8 wants it.
 *
 * Free holes of malloc's are filled, so that a fork's own memory lies together as well: a fork
 * copies each page that it writes to.
 *
 * Then memory that lies together goes into huge pages, of which a fork copies one entry each. Where
 * a fork writes, the kernel splits the huge page in that fork and copies the small page that was
 * written to, as it would have.
 */
import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { collectGarbage, mayGrow } from "../fork/heap.ts";
import { collapse, fillHoles, type Range, release, reserve, trimMalloc } from "../syscall/memory.ts";

/**
 * The addresses that V8 asks for, 46 bits of them (38 on arm64). The lowest are left to malloc's
 * heap, which grows.
 */
const WANTED: Range = [0x1_0000_0000n, 0x4000_0000_0000n];
/**
 * Memory that is this process's own and written to, as proc_pid_maps(5) shows it: heaps, and not
 * files.
 */
const PRIVATE_MEMORY = / rw-p 0+ 00:00 0 /;

/**
 * Done once, when everything is loaded. A refusal of the machine's makes forks slower, and nothing
 * else.
 */
export function compactMemory(): void {
  mayGrow(false);
  const taken = gapsIn(WANTED, readMappings()).filter(reserve);
  setFlagsFromString("--compact-on-every-full-gc");
  collectGarbage("last-resort");
  setFlagsFromString("--no-compact-on-every-full-gc");
  for (const range of taken) release(range);
  trimMalloc();
  fillHoles();
  for (const range of readMappings(PRIVATE_MEMORY)) collapse(range);
}

/**
 * The range of each mapping of this process (proc_pid_maps(5)), in order: of all, or of those whose
 * line is like this.
 */
function readMappings(like?: RegExp): Range[] {
  return parseMappings(readFileSync("/proc/self/maps", "latin1"), like);
}

/** The ranges in a maps file. */
export function parseMappings(maps: string, like = /./): Range[] {
  return maps.split("\n").flatMap((line): Range[] => {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line) ?? [];
    return from && to && like.test(line) ? [[BigInt(`0x${from}`), BigInt(`0x${to}`)]] : [];
  });
}

/** The free parts of a range, given the taken ones in order. */
export function gapsIn([from, to]: Range, taken: readonly Range[]): Range[] {
  const within = taken.filter((range) => range[1] > from && range[0] < to);
  const starts = [from, ...within.map(([, end]) => end)];
  const ends = [...within.map(([start]) => start), to];
  return starts.flatMap((start, index): Range[] => {
    const end = ends[index] as bigint;
    return start < end ? [[start, end]] : [];
  });
}
