/**
 * Files that lie beside bundles, as directories of this machine that sandboxes have mounted. A
 * directory stays while a sandbox has it, and for a while after that.
 */
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { unpackSources } from "../../functions/model/sources.ts";
import type { ArtifactStore } from "../../functions/store/artifacts.ts";
import { CallFailure } from "../outcome/outcome.ts";
import { makeBuildDirectory } from "./build-directory.ts";

/** A directory that stays until it is released. */
export interface HeldFiles {
  directory: string;
  release(): void;
}

interface Entry {
  directory: Promise<string>;
  holders: number;
}

/** Most directories that nobody has. */
const MOST_IDLE = 16;
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
    const entry = this.#entries.get(digest) ?? { directory: this.#unpack(digest), holders: 0 };
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

  #trim(): void {
    const idle = [...this.#entries].filter(([, { holders }]) => holders === 0);
    for (const [digest, { directory }] of idle.slice(0, Math.max(0, idle.length - MOST_IDLE))) {
      this.#entries.delete(digest);
      void directory.then((path) => rm(path, { recursive: true, force: true })).catch(() => {});
    }
  }

  async #unpack(digest: string): Promise<string> {
    const packed = await this.#artifacts.get(digest).catch((cause) => {
      throw new CallFailure("platform_error", "BUNDLE_LOST", undefined, cause);
    });
    if (packed === null) throw new CallFailure("platform_error", "BUNDLE_LOST");
    this.#root ??= makeBuildDirectory();
    const directory = join(await this.#root, String(++this.#made));
    await writeFiles(directory, unpackSources(packed));
    return directory;
  }
}

/** Every path was checked by `unpackSources`: relative, and without "..". */
async function writeFiles(root: string, files: readonly { path: string; bytes: Uint8Array }[]): Promise<void> {
  const directories = new Set([root]);
  for (const { path } of files)
    for (let at = dirname(path); at !== "."; at = dirname(at)) directories.add(join(root, at));
  for (const directory of [...directories].sort()) await mkdir(directory, { recursive: true });
  for (const { path, bytes } of files) {
    const file = join(root, path);
    await writeFile(file, bytes, { flag: "wx" });
    // The umask applies to what is made.
    await chmod(file, MODES.file);
  }
  for (const directory of directories) await chmod(directory, MODES.directory);
}
