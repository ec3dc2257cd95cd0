/** Directories of included files: there while a sandbox has them, and bounded after that. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, it, type TestContext } from "node:test";
import { packSources } from "../../../functions/model/sources.ts";
import { FileArtifactStore } from "../../../functions/store/artifacts.ts";
import { MIB } from "../../../infra/std/bytes.ts";
import { IncludedFiles } from "../../../worker/code/included-files.ts";
import { eventually } from "../../helpers/eventually.ts";
import { tempDir, tinyDisk } from "../../helpers/temp-dir.ts";

const opened: IncludedFiles[] = [];
afterEach(async () => {
  for (const included of opened.splice(0)) await included.close();
});

function open() {
  const artifacts = new FileArtifactStore(tempDir());
  const included = new IncludedFiles(artifacts);
  opened.push(included);
  const keep = (files: Record<string, string | Buffer>) =>
    artifacts.put(packSources(Object.entries(files).map(([path, bytes]) => ({ path, bytes: Buffer.from(bytes) }))));
  return { included, keep };
}

function withTemporaryDirectory(t: TestContext, directory: string): void {
  const { TMPDIR: before } = process.env;
  process.env.TMPDIR = directory;
  t.after(() => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  });
}

it("are written once for all who want them, to be read and not written", async () => {
  const { included, keep } = open();
  const digest = await keep({ "a/b/c.txt": "c", "index.ts": "i" });
  const held = await Promise.all([included.hold(digest), included.hold(digest), included.hold(digest)]);
  const [{ directory }] = held;
  assert.ok(held.every((one) => one.directory === directory));
  assert.equal(readFileSync(join(directory, "a/b/c.txt"), "utf8"), "c");
  const modes = ["", "a", "a/b", "a/b/c.txt"].map((path) => statSync(join(directory, path)).mode & 0o777);
  assert.deepEqual(modes, [0o555, 0o555, 0o555, 0o444]);
});

it("stay while one has them, and go when others were used since, by number or by bytes", async () => {
  const { included, keep } = open();
  const kept = await included.hold(await keep({ kept: "x" }));
  const idle = await included.hold(await keep({ idle: "x" }));
  idle.release();
  // Letting go twice is letting go once.
  const twice = await included.hold(await keep({ kept: "x" }));
  twice.release();
  twice.release();
  for (let number = 0; number < 16; number++) (await included.hold(await keep({ [`other-${number}`]: "x" }))).release();
  await eventually(() => !existsSync(idle.directory));
  assert.ok(existsSync(kept.directory), "it went from under a sandbox");
  const large: string[] = [];
  for (let number = 0; number < 9; number++) {
    const one = await included.hold(await keep({ large: Buffer.alloc(31 * MIB, number) }));
    one.release();
    large.push(one.directory);
  }
  await eventually(() => !existsSync(large[0] as string));
  assert.ok(large.slice(1).every((directory) => existsSync(directory)));
});

it("leave nothing on a disk that is full, and are there as soon as it is not", async (t) => {
  const { included, keep } = open();
  const disk = tinyDisk(t);
  withTemporaryDirectory(t, disk);
  const small = await keep({ small: "x" });
  const large = await keep({ first: Buffer.alloc(10_000), "b/second": Buffer.alloc(MIB) });
  const { directory } = await included.hold(small);
  const failed = await Promise.allSettled([included.hold(large), included.hold(large)]);
  for (const one of failed) assert.match(String((one as PromiseRejectedResult).reason), /ENOSPC/);
  assert.deepEqual(readdirSync(join(directory, "..")).length, 1, "half of it was left");
  (await included.hold(small)).release();
  assert.ok(existsSync(directory));
});
