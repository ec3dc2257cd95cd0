/** Directories of builds go with their worker, also when that was killed. */
import assert from "node:assert/strict";
import { mkdtempSync, rmdirSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { it } from "node:test";
import { makeBuildDirectory, removeLeftBuildDirectories } from "../../../worker/code/build-directory.ts";

it("removes what a process left that is gone, and nothing of one that lives or of others", async () => {
  // Process 1 began with another start time, so the owner of this one is gone.
  const left = mkdtempSync(join(tmpdir(), "sandpiper-build-1-1-"));
  const another = mkdtempSync(join(tmpdir(), "sandpiper-build-"));
  const own = await makeBuildDirectory();
  await removeLeftBuildDirectories();
  const names = await readdir(tmpdir());
  assert.deepEqual(
    [left, another, own].map((path) => names.includes(basename(path))),
    [false, true, true],
  );
  for (const path of [another, own]) rmdirSync(path);
});
