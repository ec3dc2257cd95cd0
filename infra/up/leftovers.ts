/**
 * Remembers which processes were started, so that the next start can end what a killed one left
 * behind.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { identify, isAlive, type ProcessId, parseProcessId } from "./process-id.ts";

/** Most processes that a file is believed to name. */
const MAX_PROCESSES = 1_000;

export class ProcessRecord {
  readonly #file: string;
  readonly #onUnwritten: (error: Error) => void;
  readonly #alive = new Map<number, ProcessId>();
  #isWritten = true;

  /**
   * @param onUnwritten told when the file cannot be written, once until it can: a disk that fills
   * up keeps nothing from running.
   */
  constructor(file: string, onUnwritten: (error: Error) => void = () => {}) {
    this.#file = file;
    this.#onUnwritten = onUnwritten;
  }

  add(pid: number): void {
    const id = identify(pid);
    if (id === null) return;
    this.#alive.set(pid, id);
    this.#write();
  }

  remove(pid: number): void {
    if (this.#alive.delete(pid)) this.#write();
  }

  /** Forgets everything; the file goes. */
  clear(): void {
    this.#alive.clear();
    this.#attempt(() => rmSync(this.#file, { force: true }));
  }

  #write(): void {
    const next = `${this.#file}.new`;
    this.#attempt(() => {
      writeFileSync(next, JSON.stringify([...this.#alive.values()]), { mode: 0o600 });
      renameSync(next, this.#file);
    });
  }

  #attempt(write: () => void): void {
    try {
      write();
      this.#isWritten = true;
    } catch (error) {
      if (this.#isWritten) this.#onUnwritten(error as Error);
      this.#isWritten = false;
    }
  }
}

/**
 * Kills the process groups that a record of an earlier run names and that still run. Each was the
 * leader of its group.
 * @returns how many it killed.
 */
export function killLeftovers(file: string): number {
  const leftovers = readRecord(file).filter(isAlive);
  for (const { pid } of leftovers) killGroup(pid);
  rmSync(file, { force: true });
  return leftovers.length;
}

/** SIGKILL for a whole process group; nothing when it is gone. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function readRecord(file: string): ProcessId[] {
  try {
    const value: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (!Array.isArray(value)) return [];
    return value
      .slice(0, MAX_PROCESSES)
      .map(parseProcessId)
      .filter((id) => id !== null);
  } catch {
    return [];
  }
}
