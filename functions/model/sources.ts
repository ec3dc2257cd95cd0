/**
 * A source tree as one artefact: strict about what a path may be, as the worker writes these files
 * to a disk.
 */

import { MIB } from "../../infra/std/bytes.ts";
import { SandpiperError } from "./errors.ts";

export interface SourceTreeFile {
  /** Relative to the source root, with "/" between segments. */
  path: string;
  bytes: Uint8Array;
}

export const MAX_SOURCE_FILES = 5_000;
/** Most directories of a tree: each is made, and removed, on a worker's disk. */
export const MAX_SOURCE_DIRECTORIES = 10_000;
export const MAX_SOURCE_BYTES = 64 * MIB;
export const MAX_PATH_BYTES = 512;
/** A disk walks through all directories of a path each time that the path is used. */
export const MAX_PATH_SEGMENTS = 64;

/** First bytes of a packed tree, with the number of the format. */
const MAGIC = Buffer.from("SPSRC001");

/**
 * The files as one byte string, the same for the same files whatever their order: the magic, u32 LE
 * number of files, and for each file, by path, u32 path length, path, u32 length, bytes.
 * @throws SandpiperError INVALID_SOURCE when a path or the size is not allowed.
 */
export function packSources(files: readonly SourceTreeFile[]): Buffer {
  checkSources(files);
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  const parts: Uint8Array[] = [MAGIC, u32(sorted.length)];
  for (const { path, bytes } of sorted) {
    const name = Buffer.from(path);
    parts.push(u32(name.length), name, u32(bytes.byteLength), bytes);
  }
  return Buffer.concat(parts);
}

/**
 * The files of a packed tree. Their bytes share memory with `packed`.
 * @throws SandpiperError INVALID_SOURCE when it is no packed tree, or holds what `packSources`
 * would refuse.
 */
export function unpackSources(packed: Uint8Array): SourceTreeFile[] {
  const reader = new Reader(packed);
  if (!MAGIC.equals(reader.take(MAGIC.length))) throw invalid("this is no packed source tree");
  const count = reader.u32();
  if (count > MAX_SOURCE_FILES) throw tooMany(count);
  const files: SourceTreeFile[] = [];
  for (let i = 0; i < count; i++) {
    const path = utf8(reader.take(reader.u32()));
    files.push({ path, bytes: reader.take(reader.u32()) });
  }
  if (!reader.atEnd) throw invalid("there are bytes after the last file");
  checkSources(files);
  return files;
}

/**
 * Refuses a tree that is too large, has a path that could lead out of it, or could not exist on a
 * file system.
 * @throws SandpiperError INVALID_SOURCE naming the path and what is wrong with it.
 */
export function checkSources(files: readonly SourceTreeFile[]): void {
  checkPaths(files);
  checkSize(files.reduce((sum, { bytes }) => sum + bytes.byteLength, 0));
}

/**
 * The same of the files' number and paths alone.
 * @throws SandpiperError INVALID_SOURCE
 */
export function checkPaths(files: readonly Pick<SourceTreeFile, "path">[]): void {
  if (files.length === 0) throw invalid("there are no files");
  if (files.length > MAX_SOURCE_FILES) throw tooMany(files.length);
  const paths = new Set<string>();
  for (const { path } of files) {
    const problem = pathProblem(path);
    if (problem) throw invalid(`the path ${JSON.stringify(path.slice(0, MAX_PATH_BYTES))} ${problem}`);
    if (paths.has(path)) throw invalid(`the path ${JSON.stringify(path)} appears twice`);
    paths.add(path);
  }
  const directories = directoriesOf(files);
  const file = directories.find((directory) => paths.has(directory));
  if (file !== undefined) throw invalid(`${JSON.stringify(file)} is both a file and a directory`);
}

/**
 * The directories of these files below their root, each after the one that it is in.
 * @throws SandpiperError INVALID_SOURCE when there are more than MAX_SOURCE_DIRECTORIES
 */
export function directoriesOf(files: readonly Pick<SourceTreeFile, "path">[]): string[] {
  const found = new Set<string>();
  for (const { path } of files) {
    for (let end = path.lastIndexOf("/"); end !== -1; end = path.lastIndexOf("/", end - 1)) {
      const directory = path.slice(0, end);
      // Those above it are known as well.
      if (found.has(directory)) break;
      found.add(directory);
      if (found.size > MAX_SOURCE_DIRECTORIES)
        throw invalid(`there are more than ${MAX_SOURCE_DIRECTORIES} directories`);
    }
  }
  return [...found].sort();
}

/** Refuses a tree of so many bytes if that is too large. @throws SandpiperError INVALID_SOURCE */
export function checkSize(totalBytes: number): void {
  if (totalBytes > MAX_SOURCE_BYTES) throw invalid(`${totalBytes} bytes are more than ${MAX_SOURCE_BYTES}`);
}

/** The fault of a path as a sentence's end, or null. */
export function pathProblem(path: string): string | null {
  if (path === "") return "is empty";
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return `is longer than ${MAX_PATH_BYTES} bytes`;
  if (path.startsWith("/")) return "is not relative";
  if (path.includes("\\")) return "has a backslash";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point.
  if (/[\u0000-\u001f\u007f-\u009f]/.test(path)) return "has a control character";
  if (!path.isWellFormed()) return "is not well-formed Unicode";
  const segments = path.split("/");
  if (segments.length > MAX_PATH_SEGMENTS) return `has more than ${MAX_PATH_SEGMENTS} segments`;
  for (const segment of segments) {
    if (segment === "") return "has an empty segment";
    if (segment === "." || segment === "..") return `has the segment "${segment}"`;
    if (Buffer.byteLength(segment) > 255) return "has a segment longer than 255 bytes";
  }
  return null;
}

/** The fault of a path as an entry, as a sentence's end, or null. */
export function entryProblem(path: string): string | null {
  return path.includes("*") ? 'has a "*", which the bundler would take for a pattern' : null;
}

/** Reads front to back and never past the end. */
class Reader {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  take(length: number): Buffer {
    const end = this.#offset + length;
    if (end > this.#bytes.length) throw invalid("it ends too early");
    const taken = this.#bytes.subarray(this.#offset, end);
    this.#offset = end;
    return taken;
  }

  u32(): number {
    return this.take(4).readUInt32LE();
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function utf8(bytes: Buffer): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new SandpiperError("INVALID_SOURCE", { message: "A path in the source tree is not UTF-8.", cause });
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function tooMany(count: number): SandpiperError {
  return invalid(`${count} files are more than ${MAX_SOURCE_FILES}`);
}

function invalid(what: string): SandpiperError {
  return new SandpiperError("INVALID_SOURCE", { message: `The source tree cannot be used: ${what}.` });
}
