/**
 * Directories for tests, removed when the test's process ends: after every hook that may still use
 * them.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

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
