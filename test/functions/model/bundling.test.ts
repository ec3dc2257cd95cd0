import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { it } from "node:test";
import { build } from "esbuild";
import { BUNDLE_OPTIONS, bundleFlags } from "../../../functions/model/bundling.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

it("gives esbuild's command line the same options as its JavaScript API", async () => {
  const dir = tempDir();
  writeFileSync(join(dir, "a.txt"), "text");
  writeFileSync(join(dir, "a.dat"), new Uint8Array([0, 255]));
  writeFileSync(join(dir, "c.cjs"), "module.exports = require('node:zlib').gzipSync('x')");
  const source =
    "import t from './a.txt'; import d from './a.dat'; import c from './c.cjs'; export default () => <p>{t}{d}{c}</p>;";
  writeFileSync(join(dir, "index.tsx"), source);
  const external = { external: ["react/*"] };
  await build({
    ...BUNDLE_OPTIONS,
    ...external,
    absWorkingDir: dir,
    loader: { ...BUNDLE_OPTIONS.loader },
    entryPoints: ["index.tsx"],
    outfile: "api.mjs",
  });
  const esbuild = createRequire(import.meta.url).resolve("esbuild/bin/esbuild");
  const flags = ["index.tsx", ...bundleFlags(), "--external:react/*", "--outfile=cli.mjs", "--log-level=warning"];
  execFileSync(esbuild, flags, { cwd: dir });
  assert.equal(readFileSync(join(dir, "cli.mjs"), "utf8"), readFileSync(join(dir, "api.mjs"), "utf8"));
});

it("lets CommonJS packages require Node's own modules", async () => {
  const dir = tempDir();
  writeFileSync(join(dir, "c.cjs"), "module.exports = require('path').basename('/a/b')");
  writeFileSync(join(dir, "index.js"), "import b from './c.cjs'; export default b;");
  const outfile = join(dir, "bundle.mjs");
  const entryPoints = [join(dir, "index.js")];
  await build({ ...BUNDLE_OPTIONS, loader: { ...BUNDLE_OPTIONS.loader }, entryPoints, outfile });
  const printed = execFileSync(process.execPath, [
    "-e",
    `import(${JSON.stringify(outfile)}).then(m => console.log(m.default))`,
  ]);
  assert.equal(printed.toString(), "b\n");
});
