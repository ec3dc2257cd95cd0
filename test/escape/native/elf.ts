/**
 * Where a shared library has a function: what elf(5) says of .dynsym, for 64-bit little-endian
 * files.
 */
import { readFileSync } from "node:fs";

const DYNSYM = 11;
const SECTION_BYTES = 64;
const SYMBOL_BYTES = 24;

/**
 * Offset of the symbol from where the library begins in memory. @throws Error when it has none of
 * that name
 */
export function symbolOffset(library: string, name: string): number {
  const file = readFileSync(library);
  const number = (at: number) => Number(file.readBigUInt64LE(at));
  const sections = Array.from({ length: file.readUInt16LE(60) }, (_, index) => number(40) + index * SECTION_BYTES);
  const symbols = sections.find((at) => file.readUInt32LE(at + 4) === DYNSYM);
  if (symbols === undefined) throw new Error(`${library} has no dynamic symbols`);
  const [from, bytes] = [number(symbols + 24), number(symbols + 32)];
  const names = number((sections[file.readUInt32LE(symbols + 40)] as number) + 24);
  for (let at = from; at < from + bytes; at += SYMBOL_BYTES) {
    const nameAt = names + file.readUInt32LE(at);
    if (file.toString("latin1", nameAt, file.indexOf(0, nameAt)) === name) return number(at + 8);
  }
  throw new Error(`${library} has no ${name}`);
}
