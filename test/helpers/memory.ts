/** All that a process could read of its own memory, read from outside by root, who no wall stops. */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";

const CHUNK_BYTES = 4 * 1024 * 1024;
const PAGE_BYTES = 4_096;

/** Which of these texts stand anywhere in the readable memory of a process: in UTF-8, or as two-byte strings of V8's. */
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

/** Every readable mapping in pieces that overlap, so that nothing is missed on an edge. */
function* readMemory(pid: number, overlap: number): Generator<Buffer> {
  const file = openSync(`/proc/${pid}/mem`, "r");
  try {
    for (const [from, to] of readableMappings(pid)) {
      for (let at = from; at < to; ) {
        const chunk = readAt(file, at, Math.min(CHUNK_BYTES, to - at));
        if (chunk.length > 0) yield chunk;
        // A page that cannot be read (the kernel's own vvar) is passed over.
        at +=
          chunk.length > overlap ? chunk.length - (at + chunk.length < to ? overlap : 0) : chunk.length || PAGE_BYTES;
      }
    }
  } finally {
    closeSync(file);
  }
}

function readAt(file: number, at: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  try {
    return buffer.subarray(0, readSync(file, buffer, 0, bytes, at));
  } catch {
    return buffer.subarray(0, 0);
  }
}

/** proc_pid_maps(5), without what the kernel maps for itself at addresses beyond 2^53. */
function readableMappings(pid: number): [from: number, to: number][] {
  return readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .flatMap((line): [number, number][] => {
      const [, from, to, mode] = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(line) ?? [];
      if (!from || !to || !mode?.startsWith("r") || line.endsWith("[vsyscall]")) return [];
      return [[Number.parseInt(from, 16), Number.parseInt(to, 16)]];
    });
}
