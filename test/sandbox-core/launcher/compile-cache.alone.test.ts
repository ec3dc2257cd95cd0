/** What Node made of a zygote's modules is kept for the next one, where nobody else may write. */
import assert from "node:assert/strict";
import { chmodSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { test } from "node:test";
import { compileCacheDirectory, compileCacheFlags } from "../../../sandbox-core/launcher/compile-cache.ts";
import { openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

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

test("a cache that this process was told to use is told to no zygote and no sandbox", async () => {
  const before = process.env.NODE_COMPILE_CACHE;
  const directory = tempDir();
  process.env.NODE_COMPILE_CACHE = directory;
  const launcher = await openTestLauncher();
  try {
    const environment = "[process.env, fs.readFileSync('/proc/self/environ', 'latin1')]";
    const inside = await SandboxClient.evaluate(launcher, environment);
    const outside = readFileSync(`/proc/${await launcher.zygotePid()}/environ`, "latin1");
    for (const said of [directory, "COMPILE_CACHE"]) assert.ok(!JSON.stringify([inside, outside]).includes(said), said);
  } finally {
    await launcher.close();
    if (before === undefined) delete process.env.NODE_COMPILE_CACHE;
    else process.env.NODE_COMPILE_CACHE = before;
  }
  assert.deepEqual(readdirSync(directory), []);
});
