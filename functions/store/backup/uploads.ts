/**
 * Backup files that are sent in parts, as files beside the artefacts, where all gateways find them.
 * A request must arrive within minutes, and a backup may be large.
 */
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { SandpiperError } from "../../model/errors.ts";

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Uploads that nobody went on with for so long are removed with the next one. */
const KEEP_MS = 24 * 3_600_000;
/** The ending of a file that is being restored: nothing is added to it any more. */
const CLOSED = ".closed";

export class BackupUploads {
  readonly #dir: string;

  /** @param dir is made when the first part comes. */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /**
   * Adds a part. The first one begins the file anew.
   * @param at how many bytes came before it
   * @returns how many there are
   * @throws SandpiperError RESTORE_NOT_FOUND when there are not as many; STORAGE_FULL
   */
  async add(id: string, at: number, bytes: Uint8Array): Promise<number> {
    const path = this.#path(id);
    if (at === 0) await this.#begin(path);
    const file = await open(path, "r+").catch(noUpload);
    try {
      if ((await file.stat()).size !== at) throw missing();
      for (let written = 0; written < bytes.byteLength; ) {
        written += (await file.write(bytes, written, bytes.byteLength - written, at + written)).bytesWritten;
      }
      return at + bytes.byteLength;
    } catch (error) {
      throw isFull(error) ? new SandpiperError("STORAGE_FULL", { cause: error }) : error;
    } finally {
      await file.close();
    }
  }

  /**
   * Takes a file for a restore: it gets no further parts, and is gone when the work has ended.
   * @param work gets a function that reads the file from its beginning
   * @throws SandpiperError RESTORE_NOT_FOUND; what the work throws
   */
  async take<T>(id: string, work: (open: () => AsyncIterable<Buffer>) => Promise<T>): Promise<T> {
    const path = this.#path(id);
    const closed = path + CLOSED;
    await rename(path, closed).catch(noUpload);
    try {
      return await work(() => createReadStream(closed));
    } finally {
      await unlink(closed).catch(() => {});
    }
  }

  /** Removes a file. */
  async drop(id: string): Promise<void> {
    await rm(this.#path(id), { force: true });
  }

  async #begin(path: string): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#dir)) {
      const old = join(this.#dir, name);
      const info = await stat(old).catch(() => null);
      if (info !== null && Date.now() - info.mtimeMs > KEEP_MS) await rm(old, { force: true });
    }
    await (await open(path, "w", 0o600)).close();
  }

  #path(id: string): string {
    if (!ID.test(id)) throw missing();
    return join(this.#dir, id);
  }
}

function missing(): SandpiperError {
  return new SandpiperError("RESTORE_NOT_FOUND");
}

function noUpload(error: NodeJS.ErrnoException): never {
  throw error.code === "ENOENT" ? missing() : error;
}

function isFull(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT"].includes((error as NodeJS.ErrnoException).code ?? "");
}
