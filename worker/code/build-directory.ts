/** Directories in which source trees are built: those of killed workers hold tenants' sources. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { directoriesOf, type SourceTreeFile } from "../../functions/model/sources.ts";
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

/**
 * Writes files below a directory that is there and empty, and makes their directories; others than
 * their owner may read all of it.
 * @param files as `checkSources` lets them be: their paths are relative, and have no "..".
 */
export async function writeTree(root: string, files: readonly SourceTreeFile[]): Promise<void> {
  for (const directory of directoriesOf(files)) await mkdir(join(root, directory), { mode: 0o755 });
  for (const { path, bytes } of files) await writeFile(join(root, path), bytes, { flag: "wx", mode: 0o644 });
}
