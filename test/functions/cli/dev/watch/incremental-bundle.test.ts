/** Bundles that keep what did not change, with plugins as well. */
import assert from "node:assert/strict";
import { mkdtempSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import type { BuildOptions, Plugin } from "esbuild";
import { bundle } from "../../../../../functions/bundler/bundle.ts";
import { IncrementalBundle } from "../../../../../functions/cli/dev/watch/incremental-bundle.ts";
import { tempDir } from "../../../../helpers/temp-dir.ts";

it("sets a bundle's plugins up once, finds what changed, and forgets what nobody asked for", async (t) => {
  const incremental = new IncrementalBundle();
  t.after(() => incremental.dispose());
  const root = realpathSync(mkdtempSync(join(tempDir(), "i-")));
  const setUps = new Map<string, number>();
  /** As esbuild's, with a plugin more that counts. */
  const counting = ((options: BuildOptions) => {
    const entry = JSON.stringify(options.entryPoints);
    const counter: Plugin = { name: "counter", setup: () => void setUps.set(entry, (setUps.get(entry) ?? 0) + 1) };
    return incremental.bundle({ ...options, plugins: [...(options.plugins ?? []), counter] });
  }) as typeof incremental.bundle;
  const made = async (entry: string, files: Record<string, string>) => {
    await incremental.begin();
    for (const [path, text] of Object.entries(files)) writeFileSync(join(root, path), text);
    return bundle({ root, directory: "", entry, external: [], nodeEnv: "production" }, counting);
  };
  // Facts about entry and addons are those of this bundle, and not of the one before.
  const first = await made("a.js", {
    "a.js": "if (require.main === module) require('./x.node');",
    "b.ts": "export default 1",
  });
  assert.match(first.code, /if \(module === module\) require_x/);
  assert.match(first.warnings[0]?.text ?? "", /"\.\/x\.node" is native code/);
  const second = await made("a.js", { "a.js": "exports.handler = () => require.main === module" });
  assert.match(second.code, /require\.main === module/);
  assert.deepEqual(second.warnings, []);
  const third = await made("a.js", { "a.js": "exports.handler = () => 3" });
  assert.match(third.code, /=> 3/);
  assert.deepEqual([...setUps.values()], [1]);
  await made("b.ts", {});
  await made("b.ts", { "b.ts": "export default 2" });
  await made("a.js", {});
  assert.deepEqual([...setUps.values()], [2, 1], "what was not asked for was kept");
});
