/**
 * Arranging this process's memory. Without what the kernel refuses here a zygote is only slower:
 * nothing throws, and none of it is part of a launch.
 */
import koffi from "koffi";
import {
  MADV_COLLAPSE,
  MAP_ANONYMOUS,
  MAP_FIXED_NOREPLACE,
  MAP_NORESERVE,
  MAP_PRIVATE,
  PROT_NONE,
} from "../abi/linux.ts";

const libc = koffi.load("libc.so.6");
const mmap: (
  address: bigint,
  length: bigint,
  protection: number,
  flags: number,
  fd: number,
  offset: number,
) => number | bigint = libc.func(
  "intptr_t mmap(uintptr_t address, size_t length, int protection, int flags, int fd, long offset)",
);
const munmap: (address: bigint, length: bigint) => number = libc.func("int munmap(uintptr_t address, size_t length)");
const madvise: (address: bigint, length: bigint, advice: number) => number = libc.func(
  "int madvise(uintptr_t address, size_t length, int advice)",
);
const mallocTrim: (keptBytes: number) => number = libc.func("int malloc_trim(size_t kept)");
const malloc: (bytes: number) => number = libc.func("int64_t malloc(size_t bytes)");
const sbrk: (bytes: number) => number = libc.func("int64_t sbrk(intptr_t bytes)");

const RESERVATION = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;

/**
 * Bytes that malloc keeps free at its heap's end when it has just given back what it can: less than
 * a page, and a piece.
 */
const MOST_TOP_BYTES = 8_192;
/**
 * Fill every hole down to the smallest piece that malloc makes: first by halves, then by its steps.
 */
const HOLE_BYTES = [
  65_536,
  32_768,
  16_384,
  8_192,
  4_096,
  2_048,
  ...Array.from({ length: 63 }, (_, step) => 1_016 - 16 * step),
];

/** The memory that one entry of a table's parent can map, where pages have four kibibytes. */
const HUGE_PAGE_BYTES = 0x20_0000n;

export type Range = readonly [from: bigint, to: bigint];

/**
 * Takes a free range of addresses, without memory behind it (mmap(2)).
 * @returns whether it was free
 */
export function reserve([from, to]: Range): boolean {
  return mmap(from, to - from, PROT_NONE, RESERVATION, -1, 0) !== -1;
}

/** Gives a range up that `reserve` took (munmap(2)). */
export function release([from, to]: Range): void {
  munmap(from, to - from);
}

/** Gives the kernel back what the C library keeps of memory that was freed (malloc_trim(3)). */
export function trimMalloc(): void {
  mallocTrim(0);
}

/**
 * Has the kernel move what a range holds into huge pages, as far as whole ones lie in it
 * (madvise(2), Linux 6.1).
 */
export function collapse([from, to]: Range): void {
  const start = (from + HUGE_PAGE_BYTES - 1n) & -HUGE_PAGE_BYTES;
  const end = to & -HUGE_PAGE_BYTES;
  if (start < end) madvise(start, end - start, MADV_COLLAPSE);
}

/**
 * Takes for ever what was freed in the midst of malloc's heap, so that what is allocated from now
 * on comes from its end, where it lies together. To be called right behind `trimMalloc`.
 * @returns how many bytes that took
 */
export function fillHoles(): number {
  const top = sbrk(0) - MOST_TOP_BYTES;
  let filledBytes = 0;
  for (const bytes of HOLE_BYTES) while (malloc(bytes) < top) filledBytes += bytes;
  return filledBytes;
}
