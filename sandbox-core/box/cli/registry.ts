/**
 * Which boxes of the command line there are: a file for each, in a directory that only root may
 * enter.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isOwnerAlive, ownerName } from "../../contract/owner.ts";
import type { Box } from "../box.ts";

const DIRECTORY = "/run/sandpiper-boxes";
const MODE = 0o700;

export interface BoxRecord {
  id: string;
  /** Its first process, by pid and start time. */
  init: string;
  pid: number;
  commandPid: number;
  hostUid: number;
  group: string;
  argv: string[];
  memoryBytes: number;
  cpus: number;
  /** ISO 8601. */
  startedAt: string;
}

/** Tells other processes of a box, until the result is called. */
export function register(box: Box, argv: readonly string[]): () => void {
  const record: BoxRecord = {
    id: box.id,
    init: ownerName(box.pid),
    pid: box.pid,
    commandPid: box.commandPid,
    hostUid: box.hostUid,
    group: box.group,
    argv: [...argv],
    memoryBytes: box.limits.memoryBytes,
    cpus: box.limits.cpus,
    startedAt: new Date().toISOString(),
  };
  mkdirSync(DIRECTORY, { recursive: true, mode: MODE });
  const file = join(DIRECTORY, `${box.id}.json`);
  // A reader sees all of it or nothing.
  writeFileSync(`${file}.new`, JSON.stringify(record));
  renameSync(`${file}.new`, file);
  return () => rmSync(file, { force: true });
}

/** The boxes that run, oldest first; what killed supervisors left is removed on the way. */
export function listBoxes(): BoxRecord[] {
  const records = filesIn(DIRECTORY).flatMap((name): BoxRecord[] => {
    const record = read(join(DIRECTORY, name));
    if (record && isOwnerAlive(record.init)) return [record];
    if (record) rmSync(join(DIRECTORY, name), { force: true });
    return [];
  });
  return records.sort((a, b) => a.startedAt.localeCompare(b.startedAt));
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => name.endsWith(".json"));
  } catch {
    return [];
  }
}

function read(file: string): BoxRecord | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as BoxRecord;
  } catch {
    // The process ended meanwhile.
    return undefined;
  }
}
