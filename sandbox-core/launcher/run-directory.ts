/**
 * The directory of one launcher: the worker's socket, and where its zygote builds roots. Only root
 * may enter it.
 */
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isOwnerAlive, ownerName } from "../contract/owner.ts";

const PREFIX = "sandpiper-run-";

/**
 * /run holds what lives as long as the machine runs; unlike /tmp, nothing cleans it up beneath a
 * running process.
 */
const BASE = existsSync("/run") ? "/run" : tmpdir();

/** Makes a directory for this process, and removes those that killed processes left. */
export async function makeRunDirectory(): Promise<string> {
  for (const name of await readdir(BASE))
    if (name.startsWith(PREFIX) && !isOwnerAlive(name.slice(PREFIX.length))) await removeRunDirectory(join(BASE, name));
  return mkdtemp(join(BASE, `${PREFIX}${ownerName(process.pid)}-`));
}

export async function removeRunDirectory(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
}
