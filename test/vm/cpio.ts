/**
 * Archives of the kernel's "newc" format, which an initramfs is:
 * Documentation/driver-api/early-userspace/buffer-format.rst.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

/**
 * An entry of an archive: a directory, a file by its bytes or by a file of this machine, a
 * symbolic link.
 */
export type Entry =
  | { kind: "directory"; mode?: number }
  | { kind: "file"; content: Buffer | string; mode?: number }
  | { kind: "copy"; of: string; mode: number }
  | { kind: "link"; to: string };

const TYPES = { directory: 0o040000, file: 0o100000, copy: 0o100000, link: 0o120000 } as const;
const TRAILER = "TRAILER!!!";

/**
 * Writes the entries, each by its path without a leading slash, in an order in which directories
 * precede what they hold.
 */
export function writeArchive(file: string, entries: ReadonlyMap<string, Entry>): void {
  const out = openSync(file, "w");
  try {
    let inode = 1;
    for (const path of [...entries.keys()].sort()) {
      const entry = entries.get(path) as Entry;
      writeEntry(out, path, TYPES[entry.kind] | modeOf(entry), contentOf(entry), inode++);
    }
    writeEntry(out, TRAILER, 0, Buffer.alloc(0), 0);
  } finally {
    closeSync(out);
  }
}

function writeEntry(out: number, path: string, mode: number, content: Buffer, inode: number): void {
  const name = Buffer.from(`${path}\0`);
  // inode, mode, uid, gid, links, mtime, size, device (4), length of the name, checksum
  const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
  writeWhole(out, padded(Buffer.concat([Buffer.from(header), name])));
  writeWhole(out, padded(content));
}

/** Every part begins at a multiple of four bytes. */
function padded(part: Buffer): Buffer {
  const missing = -part.length & 3;
  return missing === 0 ? part : Buffer.concat([part, Buffer.alloc(missing)]);
}

function writeWhole(out: number, bytes: Buffer): void {
  for (let sent = 0; sent < bytes.length; ) sent += writeSync(out, bytes, sent);
}

function modeOf(entry: Entry): number {
  if (entry.kind === "link") return 0o777;
  return entry.mode ?? (entry.kind === "directory" ? 0o755 : 0o644);
}

function contentOf(entry: Entry): Buffer {
  if (entry.kind === "copy") return readFileSync(entry.of);
  if (entry.kind === "file") return Buffer.from(entry.content);
  return Buffer.from(entry.kind === "link" ? entry.to : "");
}
