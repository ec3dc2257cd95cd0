/**
 * A store of byte strings by their own SHA-256: bundles, source maps and uploaded source trees, and
 * for each tenant a store of uploaded source files.
 */
import { createHash, randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { access, type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { SandpiperError } from "../model/errors.ts";
import { NAME_PATTERN } from "../model/manifest.ts";

export interface ArtifactStore {
  /**
   * Keeps the bytes; gives their SHA-256 as 64 lower-case hex digits. Keeping the same bytes again
   * is cheap.
   * @throws SandpiperError STORAGE_FULL
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

/** Tells how large artefacts are. */
export interface ArtifactSizes {
  /** Size of the bytes with that digest; null when the store has none. */
  size(digest: string): Promise<number | null>;
}

/** A file of the store that is an artefact, or was to be one. */
export interface StoredFile {
  /** Below the store: "ab/ab12...". */
  name: string;
  digest: string;
  /** `set-aside`: nothing needed it; whoever asks for it gets it, and it is an artefact again. */
  kind: "artefact" | "set-aside" | "damaged" | "temporary";
}

const DIGEST = /^[0-9a-f]{64}$/;
const SET_ASIDE = ".removed";
const DAMAGED = ".damaged";
/** The ending of a file that is being written, or whose writer died. */
const TEMPORARY = ".tmp";
const KINDS: Record<string, StoredFile["kind"]> = {
  "": "artefact",
  [SET_ASIDE]: "set-aside",
  [DAMAGED]: "damaged",
  [TEMPORARY]: "temporary",
};
const STORED_FILE = /^([0-9a-f]{64})(?:\.[0-9a-f-]{36})?(|\.removed|\.damaged|\.tmp)$/;
/** The directory of the tenants' stores, each below its tenant's name. */
const SOURCES = "sources";
const UPLOADS = "restores";
/** Attempts to remove a directory in which files appear meanwhile. */
const REMOVAL_ATTEMPTS = 10;
/** Beginning of the names of empty files, one for each Redis whose versions need the store. */
const USER = "redis-";

/**
 * Artefacts as files of one directory, which several processes may share: a file appears whole, by
 * rename(2), and never changes afterwards. Others than their owner may not read them. A gateway has
 * a user of its own and a worker is root, so what root makes belongs to the owner of the directory
 * that it is made in.
 *
 * Collection (gc-files.ts) takes an artefact away in two steps: the file is set aside under another
 * name, and removed much later. Whoever asks in between has it back by rename(2), so a reader or a
 * deployment can lose nothing to a collection that believed it unused.
 */
export class FileArtifactStore implements ArtifactStore, ArtifactSizes {
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
    await writeWhole(path, (file) => file.writeFile(bytes));
    return digest;
  }

  async get(digest: string): Promise<Buffer | null> {
    const path = this.#path(digest);
    const bytes = await reach(path, (file) => readFile(file));
    if (bytes === null || sha256(bytes) === digest) return bytes;
    // Out of the way, so that the next deployment makes it anew, and not gone, so that somebody can
    // look at it.
    await rename(path, path + DAMAGED).catch(nullWhenMissing);
    throw new Error(
      `The artefact ${digest} was damaged: its bytes had another digest. It is set aside as ${path}${DAMAGED}; deploy again.`,
    );
  }

  async has(digest: string): Promise<boolean> {
    return (await reach(this.#path(digest), async (path) => access(path).then(() => true))) !== null;
  }

  /** The directory of backups that are being uploaded: see backup/uploads.ts. */
  get uploads(): string {
    return join(this.#dir, UPLOADS);
  }

  /** The file of the bytes with that digest, to be closed; null when the store has none. */
  async open(digest: string): Promise<FileHandle | null> {
    return reach(this.#path(digest), (path) => open(path));
  }

  /**
   * Keeps bytes that come in pieces. The pieces are read to their end in any case.
   * @throws Error when they have another digest: then nothing is kept; SandpiperError STORAGE_FULL
   */
  async putPieces(digest: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    const path = this.#path(digest);
    await makeDirectory(dirname(path));
    await writeWhole(path, async (file) => {
      const hash = createHash("sha256");
      for await (const piece of pieces) {
        hash.update(piece);
        await file.writeFile(piece);
      }
      if (hash.digest("hex") !== digest) throw new Error(`The pieces of ${digest} have another digest.`);
    });
  }

  /** Removes bytes that nobody else may want, and that no version needs. */
  async drop(digest: string): Promise<void> {
    await unlink(this.#path(digest)).catch(nullWhenMissing);
  }

  /** Size of the bytes with that digest; null when the store has none. */
  async size(digest: string): Promise<number | null> {
    return (await reach(this.#path(digest), (path) => stat(path)))?.size ?? null;
  }

  /**
   * Uploaded source files of one tenant, in a store of its own: whether a file is there, and how
   * long that takes to say, tells nothing of what other tenants have.
   */
  sourcesOf(tenant: string): FileArtifactStore {
    if (!NAME_PATTERN.test(tenant)) throw new Error(`${JSON.stringify(tenant)} is no tenant's name.`);
    return new FileArtifactStore(join(this.#dir, SOURCES, tenant));
  }

  /**
   * Removes a tenant's store of source files, also beside whoever writes to it: what is written
   * later is there. @returns how many files are gone.
   */
  async removeSourcesOf(tenant: string): Promise<number> {
    const dir = this.sourcesOf(tenant).#dir;
    const names = (await readdir(dir, { recursive: true }).catch(nullWhenMissing)) ?? [];
    await rm(dir, { recursive: true, force: true, maxRetries: REMOVAL_ATTEMPTS });
    return names.filter((name) => STORED_FILE.test(basename(name))).length;
  }

  /** The tenants that have a store of source files. */
  async sourceTenants(): Promise<string[]> {
    const names = (await readdir(join(this.#dir, SOURCES)).catch(nullWhenMissing)) ?? [];
    return names.filter((name) => NAME_PATTERN.test(name)).sort();
  }

  /**
   * All files of the store, directory by directory. What has another name, or is no file, is
   * nobody's here.
   */
  async *list(): AsyncGenerator<StoredFile[]> {
    const directories = (await readdir(this.#dir).catch(nullWhenMissing)) ?? [];
    for (const directory of directories.filter((name) => /^[0-9a-f]{2}$/.test(name)).sort()) {
      const entries =
        (await readdir(join(this.#dir, directory), { withFileTypes: true }).catch(nullWhenNoDirectory)) ?? [];
      const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
      yield names.flatMap((name) => {
        const [, digest, ending = ""] = STORED_FILE.exec(name) ?? [];
        const kind = KINDS[ending];
        return digest === undefined || kind === undefined ? [] : [{ name: `${directory}/${name}`, digest, kind }];
      });
    }
  }

  /** Bytes of a listed file; null when it is gone. */
  async sizeOf({ name }: StoredFile): Promise<number | null> {
    return (await stat(join(this.#dir, name)).catch(nullWhenMissing))?.size ?? null;
  }

  /** Sets an artefact aside; gives the file that it is now, or null when it is gone. */
  async setAside({ digest, name }: StoredFile): Promise<StoredFile | null> {
    const path = this.#path(digest);
    const moved = await rename(path, path + SET_ASIDE).then(() => true, nullWhenMissing);
    return moved ? { name: name + SET_ASIDE, digest, kind: "set-aside" } : null;
  }

  /** Has an artefact back that was set aside. */
  async bringBack({ digest }: StoredFile): Promise<void> {
    const path = this.#path(digest);
    await rename(path + SET_ASIDE, path).catch(nullWhenMissing);
  }

  /** Removes a listed file that is no artefact; false when it is gone. */
  async remove({ name, kind }: StoredFile): Promise<boolean> {
    if (kind === "artefact") throw new Error(`${name} must be set aside first.`);
    return (await unlink(join(this.#dir, name)).then(() => true, nullWhenMissing)) ?? false;
  }

  /**
   * Says that versions of this Redis need what is here.
   * @returns every Redis of which that was said.
   */
  async addUser(redisId: string): Promise<string[]> {
    await makeDirectory(this.#dir);
    const mine = await open(this.userFile(redisId), "a", 0o600);
    try {
      await giveToOwnerOf(this.#dir, mine);
    } finally {
      await mine.close();
    }
    const names = await readdir(this.#dir);
    return names.filter((name) => name.startsWith(USER)).map((name) => name.slice(USER.length));
  }

  /** The file that says it; removed by hand when that Redis is gone for ever. */
  userFile(redisId: string): string {
    return join(this.#dir, USER + redisId);
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
 * Does something with an artefact's file; with one that was set aside after having it back.
 * @returns null when there is none.
 */
async function reach<T>(path: string, work: (path: string) => Promise<T>): Promise<T | null> {
  const reached = await work(path).catch(nullWhenMissing);
  if (reached !== null) return reached;
  await rename(path + SET_ASIDE, path).catch(nullWhenMissing);
  // Looked for again in any case: another may have had it back at this moment.
  return await work(path).catch(nullWhenMissing);
}

/**
 * Writes beside the target and renames: whoever opens the path finds all bytes or no file, even
 * after a crash.
 */
async function writeWhole(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const temporary = `${path}.${randomUUID()}${TEMPORARY}`;
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await giveToOwnerOf(dirname(path), file);
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw isFull(error) ? new SandpiperError("STORAGE_FULL", { cause: error }) : error;
  }
}

function isFull(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT"].includes((error as NodeJS.ErrnoException).code ?? "");
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

function nullWhenNoDirectory(error: unknown): null {
  if (error instanceof Error && "code" in error && error.code === "ENOTDIR") return null;
  return nullWhenMissing(error);
}

function nullWhenMissing(error: unknown): null {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
  throw error;
}
