/** Where memory of this process lies: proc_pid_maps(5). */
import { readFileSync } from "node:fs";
import type { Range } from "../syscall/memory.ts";

/** The range of each mapping, in order: of all, or of those whose line is like this. */
export function readMappings(like?: RegExp): Range[] {
  return parseMappings(readFileSync("/proc/self/maps", "latin1"), like);
}

/** The ranges in a maps file. */
export function parseMappings(maps: string, like = /./): Range[] {
  return maps.split("\n").flatMap((line): Range[] => {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line) ?? [];
    return from && to && like.test(line) ? [[BigInt(`0x${from}`), BigInt(`0x${to}`)]] : [];
  });
}

/** What is free of a range, given what is taken, in order. */
export function gapsIn([from, to]: Range, taken: readonly Range[]): Range[] {
  const within = taken.filter((range) => range[1] > from && range[0] < to);
  const starts = [from, ...within.map(([, end]) => end)];
  const ends = [...within.map(([start]) => start), to];
  return starts.flatMap((start, index): Range[] => {
    const end = ends[index] as bigint;
    return start < end ? [[start, end]] : [];
  });
}
