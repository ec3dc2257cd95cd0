/**
 * All that a process could read of its own memory, read from outside by root, who no wall stops.
 */
import { closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";

const CHUNK_BYTES = 4 * 1024 * 1024;
const PAGE_BYTES = 4_096;
/**
 * Bits of an entry of /proc/PID/pagemap: Documentation/admin-guide/mm/pagemap.rst in the kernel.
 */
const PAGEMAP = { bytes: 8, present: 1n << 63n, swapped: 1n << 62n, fileOrShared: 1n << 61n };

interface Mapping {
  from: number;
  to: number;
  /** What its pages hold that are not the process's own. */
  behind: "zeros" | "old file" | "other file";
}

/**
 * Which of these texts stand anywhere in the readable memory of a process: in UTF-8, or as two-byte
 * strings of V8's.
 */
export function findInMemory(pid: number, texts: readonly string[]): string[] {
  const needles = texts.flatMap((text) => [
    { text, bytes: Buffer.from(text, "utf8") },
    { text, bytes: Buffer.from(text, "utf16le") },
  ]);
  const longest = Math.max(...needles.map(({ bytes }) => bytes.length));
  const found = new Set<string>();
  for (const chunk of readMemory(pid, longest))
    for (const { text, bytes } of needles) if (chunk.includes(bytes)) found.add(text);
  return [...found];
}

/**
 * What can differ from zeros and from files older than this process, whose texts are newer: in
 * pieces that overlap, so that nothing is missed on an edge. Reading the rest would fault in
 * hundreds of megabytes, page by page.
 */
function* readMemory(pid: number, overlap: number): Generator<Buffer> {
  const [memory, pagemap] = [openSync(`/proc/${pid}/mem`, "r"), openSync(`/proc/${pid}/pagemap`, "r")];
  const buffer = Buffer.alloc(CHUNK_BYTES);
  try {
    for (const mapping of readableMappings(pid))
      for (const [from, to] of ownPages(pagemap, mapping)) yield* readRange({ memory, buffer, overlap, from, to });
  } finally {
    for (const file of [memory, pagemap]) closeSync(file);
  }
}

interface Range {
  memory: number;
  buffer: Buffer;
  overlap: number;
  from: number;
  to: number;
}

function* readRange({ memory, buffer, overlap, from, to }: Range): Generator<Buffer> {
  for (let at = from; at < to; ) {
    const chunk = readAt(memory, buffer.subarray(0, Math.min(CHUNK_BYTES, to - at)), at);
    if (chunk.length > 0) yield chunk;
    // A page that cannot be read (the kernel's own vvar) is passed over.
    at += chunk.length > overlap ? chunk.length - (at + chunk.length < to ? overlap : 0) : chunk.length || PAGE_BYTES;
  }
}

/** What could be read at that place, in the buffer. */
function readAt(file: number, buffer: Buffer, at: number): Buffer {
  try {
    return buffer.subarray(0, readSync(file, buffer, 0, buffer.length, at));
  } catch {
    return buffer.subarray(0, 0);
  }
}

/** The parts of a mapping in which pages are the process's own, or may hold what is new. */
function* ownPages(pagemap: number, { from, to, behind }: Mapping): Generator<[from: number, to: number]> {
  if (behind === "other file") {
    yield [from, to];
    return;
  }
  const pages = (to - from) / PAGE_BYTES;
  const entries = readAt(pagemap, Buffer.alloc(pages * PAGEMAP.bytes), (from / PAGE_BYTES) * PAGEMAP.bytes);
  let begin = from;
  for (let page = 0; page <= pages; page++) {
    const at = from + page * PAGE_BYTES;
    if (page < pages && isOwn(entries.readBigUInt64LE(page * PAGEMAP.bytes), behind)) continue;
    if (begin < at) yield [begin, at];
    begin = at + PAGE_BYTES;
  }
}

function isOwn(entry: bigint, behind: Mapping["behind"]): boolean {
  if ((entry & (PAGEMAP.present | PAGEMAP.swapped)) === 0n) return false;
  return behind === "zeros" || (entry & PAGEMAP.fileOrShared) === 0n;
}

/** proc_pid_maps(5), without what the kernel maps for itself at addresses beyond 2^53. */
function readableMappings(pid: number): Mapping[] {
  return readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .flatMap((line): Mapping[] => {
      const match = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+)/.exec(line);
      if (!match?.[3]?.startsWith("r") || line.endsWith("[vsyscall]")) return [];
      const [from, to] = [Number.parseInt(match[1] as string, 16), Number.parseInt(match[2] as string, 16)];
      return [{ from, to, behind: match[4] === "0" ? "zeros" : fileBehind(pid, from, to) }];
    });
}

/** Whether the file of a mapping has not changed since before this process began. */
function fileBehind(pid: number, from: number, to: number): Mapping["behind"] {
  try {
    const { ctimeMs } = statSync(`/proc/${pid}/map_files/${from.toString(16)}-${to.toString(16)}`);
    return ctimeMs < performance.timeOrigin ? "old file" : "other file";
  } catch {
    return "other file";
  }
}
