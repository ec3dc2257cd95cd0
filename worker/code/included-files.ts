/**
 * Files that lie beside bundles, as directories of this machine that sandboxes have mounted. A
 * directory stays while a sandbox has it, and for a while after that.
 */
import { chmod, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { directoriesOf, type SourceTreeFile, unpackSources } from "../../functions/model/sources.ts";
import type { ArtifactStore } from "../../functions/store/artifacts.ts";
import { MIB } from "../../infra/std/bytes.ts";
import { CallFailure } from "../outcome/outcome.ts";
import { makeBuildDirectory, writeTree } from "./build-directory.ts";

/** A directory that stays until it is released. */
export interface HeldFiles {
  directory: string;
  release(): void;
}

interface Entry {
  directory: Promise<string>;
  /** Known when the directory is there. */
  bytes: number;
  holders: number;
}

/** Most directories that nobody has, and their bytes: they may lie in memory (tmpfs). */
const MOST_IDLE = { directories: 16, bytes: 256 * MIB };
/** Of a directory and a file: for the sandbox's user to read, and for nobody to write. */
const MODES = { directory: 0o555, file: 0o444 };

export class IncludedFiles {
  readonly #artifacts: ArtifactStore;
  /** By digest; those that were used longest ago first. */
  readonly #entries = new Map<string, Entry>();
  #root: Promise<string> | undefined;
  #made = 0;

  constructor(artifacts: ArtifactStore) {
    this.#artifacts = artifacts;
  }

  /**
   * The files of an artefact, as a directory.
   * @throws CallFailure platform_error when the store has lost or damaged them
   */
  async hold(digest: string): Promise<HeldFiles> {
    const entry = this.#entries.get(digest) ?? this.#add(digest);
    this.#entries.delete(digest);
    this.#entries.set(digest, entry);
    entry.holders += 1;
    let isHeld = true;
    const release = () => {
      if (isHeld) entry.holders -= 1;
      isHeld = false;
      this.#trim();
    };
    try {
      return { directory: await entry.directory, release };
    } catch (error) {
      if (this.#entries.get(digest) === entry) this.#entries.delete(digest);
      throw error;
    }
  }

  /** Removes all of them; no sandbox may have one any more. */
  async close(): Promise<void> {
    this.#entries.clear();
    const root = await this.#root?.catch(() => undefined);
    if (root !== undefined) await rm(root, { recursive: true, force: true });
  }

  #add(digest: string): Entry {
    const unpacked = this.#unpack(digest);
    const entry: Entry = { directory: unpacked.then(({ directory }) => directory), bytes: 0, holders: 0 };
    void unpacked.then(({ bytes }) => (entry.bytes = bytes)).catch(() => {});
    return entry;
  }

  /** Removes what nobody has and is too much, used longest ago first. */
  #trim(): void {
    const idle = [...this.#entries].filter(([, { holders }]) => holders === 0).reverse();
    let bytes = 0;
    for (const [index, [digest, entry]] of idle.entries()) {
      bytes += entry.bytes;
      if (index < MOST_IDLE.directories && bytes <= MOST_IDLE.bytes) continue;
      this.#entries.delete(digest);
      void entry.directory.then((path) => rm(path, { recursive: true, force: true })).catch(() => {});
    }
  }

  async #unpack(digest: string): Promise<{ directory: string; bytes: number }> {
    const packed = await this.#artifacts.get(digest).catch((cause) => {
      throw new CallFailure("platform_error", "BUNDLE_LOST", undefined, cause);
    });
    if (packed === null) throw new CallFailure("platform_error", "BUNDLE_LOST");
    this.#root ??= makeBuildDirectory();
    const files = unpackSources(packed);
    const directory = join(await this.#root, String(++this.#made));
    try {
      await mkdir(directory);
      await writeFiles(directory, files);
    } catch (error) {
      // On a disk that is full, above all.
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
    return { directory, bytes: files.reduce((sum, { bytes }) => sum + bytes.byteLength, 0) };
  }
}

/**
 * Writes the files for the sandbox's user to read, and for nobody to write, whatever the umask is.
 */
async function writeFiles(root: string, files: readonly SourceTreeFile[]): Promise<void> {
  await writeTree(root, files);
  for (const { path } of files) await chmod(join(root, path), MODES.file);
  for (const directory of directoriesOf(files)) await chmod(join(root, directory), MODES.directory);
  await chmod(root, MODES.directory);
}
