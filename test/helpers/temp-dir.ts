/** A directory for a test, removed when the test's process ends: after every hook that may still use it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Makes an empty directory with a short path, so that sockets fit in it. */
export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "sp-"));
  process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
