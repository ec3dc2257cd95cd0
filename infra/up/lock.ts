/** One Sandpiper at a time in a data directory. */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UpError } from "./failure.ts";
import { identify, isAlive, parseProcessId } from "./process-id.ts";

export interface DataDirLock {
  release(): void;
}

/**
 * Takes the lock of a data directory: a file that names this process and when it started, so that
 * what a killed process left behind is told from a lock that is held.
 * @throws UpError when another process holds it.
 */
export function lockDataDir(dataDir: string): DataDirLock {
  const lock = join(dataDir, "lock");
  const mine = join(dataDir, `lock.${process.pid}`);
  writeFileSync(mine, JSON.stringify(identify(process.pid)), { mode: 0o600 });
  try {
    // link(2) is atomic and fails when the name is taken; a name is taken by a stale lock once at
    // most, or by a rival.
    for (let attempt = 0; attempt < 3; attempt += 1) {
      if (tryLink(mine, lock)) return { release: () => rmSync(lock, { force: true }) };
      removeIfStale(lock, dataDir);
    }
    throw heldBy(null, dataDir);
  } finally {
    rmSync(mine, { force: true });
  }
}

function tryLink(mine: string, lock: string): boolean {
  try {
    linkSync(mine, lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function removeIfStale(lock: string, dataDir: string): void {
  const content = readIfPresent(lock);
  if (content === null) return;
  const holder = parseProcessId(parseJson(content));
  if (holder !== null && isAlive(holder)) throw heldBy(holder.pid, dataDir);
  const aside = `${lock}.stale.${process.pid}`;
  renameSync(lock, aside);
  // Between reading and renaming, a rival may have replaced the stale lock by its own: put that one
  // back.
  if (readIfPresent(aside) !== content) tryLink(aside, lock);
  rmSync(aside, { force: true });
}

function readIfPresent(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function heldBy(pid: number | null, dataDir: string): UpError {
  return new UpError(
    `another Sandpiper${pid === null ? "" : ` (process ${pid})`} uses the data directory ${dataDir}`,
    `stop it (Ctrl-C where it runs${pid === null ? "" : `, or: kill ${pid}`}), or give this one a directory and port of its own: npm start -- --data DIR --port 0`,
  );
}
