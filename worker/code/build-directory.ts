/** Directories in which source trees are built: those of killed workers hold tenants' sources. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isOwnerAlive, ownerName } from "../../sandbox-core/index.ts";

const PREFIX = "sandpiper-build-";

/** Makes a directory for one build of this process, which removes it. */
export function makeBuildDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), `${PREFIX}${ownerName(process.pid)}-`));
}

/** Removes the directories that killed processes left. */
export async function removeLeftBuildDirectories(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const isLeft = name.startsWith(PREFIX) && !isOwnerAlive(name.slice(PREFIX.length));
    if (isLeft) await rm(join(tmpdir(), name), { recursive: true, force: true });
  }
}
