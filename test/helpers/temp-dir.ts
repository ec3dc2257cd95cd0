/**
 * Directories for tests, removed when the test's process ends: after every hook that may still use
 * them.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

const MOUNTED_BYTES = 64 * 1024;
const made: string[] = [];

process.once("exit", () => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true });
});

/** Makes an empty directory with a short path, so that sockets fit in it. */
export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "sp-"));
  made.push(dir);
  return dir;
}

/** A disk of 64 KiB, in memory, of a test's own. */
export function tinyDisk(t: TestContext): string {
  const dir = tempDir();
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${MOUNTED_BYTES}`, "tiny-disk", dir]);
  t.after(() => execFileSync("umount", ["--lazy", dir]));
  return dir;
}

/** Fills such a disk to the last byte. */
export function fillDisk(dir: string): void {
  try {
    writeFileSync(join(dir, "filling"), Buffer.alloc(2 * MOUNTED_BYTES));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  }
}
