/** A store of byte strings by their own SHA-256: bundles, source maps and uploaded source trees. */
import { createHash, randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { access, type FileHandle, mkdir, open, readFile, rename, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";

export interface ArtifactStore {
  /**
   * Keeps the bytes; gives their SHA-256 as 64 lower-case hex digits. Keeping the same bytes again
   * is cheap.
   */
  put(bytes: Uint8Array): Promise<string>;
  /**
   * The bytes with that digest, or null when the store has none.
   * @throws Error when what is stored does not have that digest; from then on the store has none.
   */
  get(digest: string): Promise<Buffer | null>;
  /** Whether the store has bytes with that digest. */
  has(digest: string): Promise<boolean>;
}

const DIGEST = /^[0-9a-f]{64}$/;

/**
 * Artefacts as files of one directory, which several processes may share: a file appears whole, by
 * rename(2), and never changes afterwards. Others than their owner may not read them. A gateway has
 * a user of its own and a worker is root, so what root makes belongs to the owner of the directory
 * that it is made in.
 */
export class FileArtifactStore implements ArtifactStore {
  readonly #dir: string;

  /** @param dir is made when the first artefact is kept. */
  constructor(dir: string) {
    this.#dir = dir;
  }

  async put(bytes: Uint8Array): Promise<string> {
    const digest = sha256(bytes);
    if (await this.has(digest)) return digest;
    const path = this.#path(digest);
    await makeDirectory(dirname(path));
    await writeWhole(path, bytes);
    return digest;
  }

  async get(digest: string): Promise<Buffer | null> {
    const path = this.#path(digest);
    const bytes = await readFile(path).catch(nullWhenMissing);
    if (bytes === null || sha256(bytes) === digest) return bytes;
    // Out of the way, so that the next deployment makes it anew, and not gone, so that somebody can
    // look at it.
    await rename(path, `${path}.damaged`).catch(nullWhenMissing);
    throw new Error(
      `The artefact ${digest} was damaged: its bytes had another digest. It is set aside as ${path}.damaged; deploy again.`,
    );
  }

  async has(digest: string): Promise<boolean> {
    const found = await access(this.#path(digest)).catch(nullWhenMissing);
    return found !== null;
  }

  /** Spread over 256 directories, as some file systems slow down with very many entries in one. */
  #path(digest: string): string {
    if (!DIGEST.test(digest)) throw new Error("A digest is 64 lower-case hex digits.");
    return join(this.#dir, digest.slice(0, 2), digest);
  }
}

/** SHA-256 in lower-case hex. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * Writes beside the target and renames: whoever opens the path finds all bytes or no file, even
 * after a crash.
 */
async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await giveToOwnerOf(dirname(path), file);
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
}

/**
 * Makes a directory and those that it is in. One that is there is given away as well: whoever made
 * it may have died too early.
 */
async function makeDirectory(path: string): Promise<void> {
  const made = () => mkdir(path, { mode: 0o700 });
  await made().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") return nullWhenThere(error);
    await makeDirectory(dirname(path));
    return await made().catch(nullWhenThere);
  });
  if (process.geteuid?.() !== 0) return;
  // By a descriptor: its owner could have put a link in its place.
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    await giveToOwnerOf(dirname(path), directory);
  } finally {
    await directory.close();
  }
}

async function giveToOwnerOf(directory: string, made: FileHandle): Promise<void> {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = await stat(directory);
  await made.chown(uid, gid);
}

function nullWhenThere(error: NodeJS.ErrnoException): null {
  if (error.code === "EEXIST") return null;
  throw error;
}

function nullWhenMissing(error: unknown): null {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
  throw error;
}
