import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { afterEach, it } from "node:test";
import { FunctionSource } from "../../../../../functions/cli/dev/watch/function-source.ts";
import { tempDir } from "../../../../helpers/temp-dir.ts";

const base = realpathSync(tempDir());
const opened: FunctionSource[] = [];
afterEach(async () => {
  for (const source of opened.splice(0)) await source.close();
});

function project(files: Record<string, string>) {
  const directory = mkdtempSync(join(base, "d-"));
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  };
  for (const [path, text] of Object.entries({ "sandpiper.jsonc": '{"name": "a"}', ...files })) write(path, text);
  const source = new FunctionSource(directory);
  opened.push(source);
  const isWanted = (path: string) => {
    const { wanted } = source;
    const at = join(directory, path);
    return wanted.directories.has(dirname(at)) && wanted.has(dirname(at), basename(at));
  };
  return { directory, source, write, isWanted };
}

it("is read with what changed, and is equal when nothing did", async () => {
  const { source, write } = project({
    "index.ts": 'import { n } from "./n.ts"; export default n;',
    "n.ts": "export const n = 1;",
  });
  const first = await source.read();
  assert.deepEqual(
    first.upload.files.map(({ path }) => path),
    ["index.ts", "n.ts"],
  );
  assert.equal((await source.read()).digest, first.digest);
  write("n.ts", "export const n = 2;");
  const second = await source.read();
  assert.notEqual(second.digest, first.digest);
  assert.equal(Buffer.from(second.upload.files[1]?.bytes ?? []).toString(), "export const n = 2;");
  write("n.ts", "export const n = 1;");
  assert.equal((await source.read()).digest, first.digest);
  write("sandpiper.jsonc", '{"name": "a", "env": {"A": "1"}}');
  const third = await source.read();
  assert.notEqual(third.digest, first.digest);
  assert.deepEqual(third.config.env, { A: "1" });
});

it("follows the entry to another file, and imports to new ones", async () => {
  const { source, write, isWanted } = project({ "index.ts": "export default 1;", "other.ts": "export default 2;" });
  await source.read();
  assert.ok(isWanted("index.ts") && !isWanted("other.ts"));
  write("sandpiper.jsonc", '{"name": "a", "entry": "other.ts"}');
  assert.equal((await source.read()).upload.entry, "other.ts");
  assert.ok(!isWanted("index.ts") && isWanted("other.ts"));
  write("other.ts", 'import "./lib/x.ts"; export default 2;');
  write("lib/x.ts", "");
  await source.read();
  assert.ok(isWanted("lib/x.ts"));
});

it("that does not build from the first is watched where it could be mended", async () => {
  const { source, write, isWanted } = project({
    "index.ts": 'import "./a.ts"; import "./missing"; import "package";',
    "a.ts": 'import "./broken.ts";',
    "broken.ts": "export const = 1;",
  });
  await assert.rejects(source.read(), { code: "BUILD_FAILED", message: /broken\.ts:1:13/ });
  for (const path of ["index.ts", "a.ts", "broken.ts", "missing.ts", "node_modules", "node_modules/package"]) {
    assert.ok(isWanted(path), path);
  }
  write("broken.ts", "");
  write("missing.ts", "");
  write("node_modules/package/index.js", "");
  const { upload } = await source.read();
  assert.deepEqual(
    upload.files.map(({ path }) => path),
    ["a.ts", "broken.ts", "index.ts", "missing.ts", "node_modules/package/index.js"],
  );
});

it("that does not build any more is watched as before, and is read again when it does", async () => {
  const { source, write, isWanted, directory } = project({ "index.ts": 'import "./a.ts";', "a.ts": "" });
  await source.read();
  write("index.ts", 'import "./a.ts"; {');
  await assert.rejects(source.read(), { code: "BUILD_FAILED" });
  assert.ok(isWanted("a.ts") && isWanted("index.ts"));
  write("index.ts", 'import "./a.ts";');
  rmSync(join(directory, "a.ts"));
  await assert.rejects(source.read(), { code: "BUILD_FAILED", message: /Could not resolve "\.\/a\.ts"/ });
  assert.ok(isWanted("a.ts"));
  write("a.ts", "");
  await source.read();
});

it("with a wrong configuration or a missing entry says so as deploy does, and is watched", async () => {
  const { source, write, isWanted } = project({ "sandpiper.jsonc": '{"name": "a", "memory": 1}' });
  await assert.rejects(source.read(), { code: "CONFIG_INVALID", message: /unknown field "memory"/ });
  write("sandpiper.jsonc", '{"name": "a"}');
  await assert.rejects(source.read(), { code: "CONFIG_INVALID", message: /entry file index\.ts does not exist/ });
  assert.ok(isWanted("sandpiper.jsonc"));
  assert.ok(isWanted("index.ts"));
  write("index.ts", "export default 1;");
  await source.read();
});
