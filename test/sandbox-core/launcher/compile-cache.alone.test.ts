/** What Node made of a zygote's modules is kept for the next one, where nobody else may write. */
import assert from "node:assert/strict";
import { chmodSync, readdirSync, rmSync, statSync } from "node:fs";
import { test } from "node:test";
import { compileCacheDirectory, compileCacheFlags } from "../../../sandbox-core/launcher/compile-cache.ts";
import { openTestLauncher } from "../../helpers/sandbox-client.ts";

test("a zygote leaves what was compiled to the next, and only its own user may change it", async () => {
  const directory = compileCacheDirectory() ?? "";
  rmSync(directory, { recursive: true });
  const launcher = await openTestLauncher();
  await launcher.close();
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  assert.ok(readdirSync(directory, { recursive: true }).length > 50);
});

test("a directory that others may write to is not used", () => {
  const directory = compileCacheDirectory() ?? "";
  chmodSync(directory, 0o777);
  try {
    assert.deepEqual(compileCacheFlags(), []);
  } finally {
    chmodSync(directory, 0o700);
  }
  assert.equal(compileCacheFlags().length, 2);
});
