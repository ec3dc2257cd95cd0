/**
 * Collects files of the artefact store. An artefact that no version needs is set aside at once,
 * which harms nobody: whoever asks for it has it back. A file that is set aside, damaged or half
 * written is removed when it was seen as that for long. Redis keeps since when, by its own clock,
 * so that no machine's clock, and no clock of a file server's, decides over a file.
 */
import type { Redis } from "ioredis";
import type { FileArtifactStore, StoredFile } from "./artifacts.ts";

/**
 * A hash for each store: since when a file is seen that waits for its removal, by its name below
 * the store.
 */
const marksOf = (tenant: string | null): string => (tenant === null ? "sp:gc:marks" : `sp:gc:marks:${tenant}`);

/** A number of files, and their bytes together. */
export interface FileCount {
  files: number;
  bytes: number;
}

export interface CollectedFiles {
  /** Artefacts that no version needs, from now on. */
  setAside: FileCount;
  /** Files that were set aside, damaged or half written, and wait for their removal. */
  waiting: FileCount;
  removed: FileCount;
}

export interface FileCollection {
  redis: Redis;
  artifacts: FileArtifactStore;
  /** The tenant of whose source files it is the store; null for the store of all. */
  tenant: string | null;
  /** Digests that versions need, read after `nowMs`. */
  needed: ReadonlySet<string>;
  graceMs: number;
  /** Redis's clock. */
  nowMs: number;
  /** Says what would go, and changes nothing. */
  dryRun: boolean;
  /** Called before each directory. */
  goOn(): Promise<void>;
}

/** Decisions about a file. */
type Fate = "keep" | "bring-back" | "set-aside" | "wait" | "remove";

/** Sets aside what is not needed, and removes what has waited for long. */
export async function collectFiles(collection: FileCollection): Promise<CollectedFiles> {
  const collected = { setAside: noFiles(), waiting: noFiles(), removed: noFiles() };
  const { redis, artifacts, dryRun, nowMs } = collection;
  const key = marksOf(collection.tenant);
  const marks = new Map(Object.entries(await redis.hgetall(key)));
  for await (const files of artifacts.list()) {
    await collection.goOn();
    const fresh = await collectDirectory(collection, files, marks, collected);
    if (fresh.length > 0 && !dryRun) await redis.hset(key, ...fresh.flatMap((name) => [name, nowMs]));
  }
  if (marks.size > 0 && !dryRun) await redis.hdel(key, ...marks.keys());
  return collected;
}

/**
 * Deals with the files of a directory.
 * @param marks loses those of files that go on waiting; what is left in the end is of no use.
 * @returns names of files that wait from now on.
 */
async function collectDirectory(
  collection: FileCollection,
  files: readonly StoredFile[],
  marks: Map<string, string>,
  collected: CollectedFiles,
): Promise<string[]> {
  const fresh: string[] = [];
  for (const file of files) {
    const since = marks.get(file.name);
    const fate = fateOf(file, since, collection);
    const waiting = await deal(collection, file, fate, collected);
    if (waiting === null) continue;
    marks.delete(waiting);
    if (since === undefined) fresh.push(waiting);
  }
  return fresh;
}

function fateOf({ kind, digest }: StoredFile, since: string | undefined, collection: FileCollection): Fate {
  const { needed, graceMs, nowMs } = collection;
  if (kind === "artefact") return needed.has(digest) ? "keep" : "set-aside";
  if (kind === "set-aside" && needed.has(digest)) return "bring-back";
  return since !== undefined && nowMs - Number(since) >= graceMs ? "remove" : "wait";
}

/** Does it, and counts it. @returns the name of the file if it waits now */
async function deal(
  { artifacts, dryRun }: FileCollection,
  file: StoredFile,
  fate: Fate,
  { setAside, waiting, removed }: CollectedFiles,
): Promise<string | null> {
  // Nothing is asked of the many files that stay.
  const bytes = fate === "keep" ? null : await artifacts.sizeOf(file);
  if (bytes === null) return null;
  switch (fate) {
    case "keep":
      return null;
    case "bring-back":
      if (!dryRun) await artifacts.bringBack(file);
      return null;
    case "remove":
      if (dryRun || (await artifacts.remove(file))) count(removed, bytes);
      return null;
    case "set-aside": {
      const aside = dryRun ? file : await artifacts.setAside(file);
      if (aside !== null) count(setAside, bytes);
      return aside?.name ?? null;
    }
    case "wait":
      count(waiting, bytes);
      return file.name;
  }
}

/** The sum of the collections of several stores. */
export function sumOf(all: readonly CollectedFiles[]): CollectedFiles {
  const sum = { setAside: noFiles(), waiting: noFiles(), removed: noFiles() };
  for (const one of all) {
    for (const kind of ["setAside", "waiting", "removed"] as const) {
      sum[kind].files += one[kind].files;
      sum[kind].bytes += one[kind].bytes;
    }
  }
  return sum;
}

function noFiles(): FileCount {
  return { files: 0, bytes: 0 };
}

function count(counted: FileCount, bytes: number): void {
  counted.files += 1;
  counted.bytes += bytes;
}
