import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ensureApiKey, ensureMasterKey, openDataDir, writeConnection } from "../../../infra/up/data-dir.ts";
import { UpError } from "../../../infra/up/failure.ts";
import { tempDir, tinyDisk } from "../../helpers/temp-dir.ts";

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

test("the directory and what it holds belong to their owner alone", () => {
  const dir = openDataDir(join(tempDir(), "data"));
  assert.equal(mode(dir.path), "700");
  assert.equal(ensureApiKey(dir.apiKeyFile), true);
  assert.equal(mode(dir.apiKeyFile), "600");
  const takeBack = writeConnection(dir, "http://127.0.0.1:1");
  assert.equal(mode(dir.connectionFile), "600");
  assert.deepEqual(JSON.parse(readFileSync(dir.connectionFile, "utf8")), {
    url: "http://127.0.0.1:1",
    apiKeyFile: dir.apiKeyFile,
  });
  takeBack();
  assert.throws(() => statSync(dir.connectionFile), { code: "ENOENT" });
});

test("a key is made once and kept", () => {
  const file = join(tempDir(), "api-key");
  ensureApiKey(file);
  const key = readFileSync(file, "utf8");
  assert.match(key, /^sp_[0-9a-f]{12}_[A-Za-z0-9_-]{43}\n$/);
  chmodSync(file, 0o644);
  assert.equal(ensureApiKey(file), false);
  assert.equal(readFileSync(file, "utf8"), key);
  assert.equal(mode(file), "600");
});

test("a master key is made once and kept, for its owner alone", () => {
  const { masterKeyFile: file } = openDataDir(join(tempDir(), "data"));
  assert.equal(ensureMasterKey(file), true);
  const key = readFileSync(file, "utf8");
  assert.equal(Buffer.from(key, "base64").length, 32);
  chmodSync(file, 0o644);
  assert.equal(ensureMasterKey(file), false);
  assert.equal(readFileSync(file, "utf8"), key);
  assert.equal(mode(file), "600");
});

test("a file that holds no key is refused and kept", () => {
  const file = join(tempDir(), "api-key");
  writeFileSync(file, "something else");
  assert.throws(() => ensureApiKey(file), /does not hold an API key/);
  assert.equal(readFileSync(file, "utf8"), "something else");
});

const refused = (message: RegExp, hint: RegExp) => (error: unknown) =>
  error instanceof UpError && message.test(error.message) && !error.message.includes("\n") && hint.test(error.hint);

test("a directory that cannot be used is told with its cause and a way out", (t) => {
  const disk = tinyDisk(t);
  const [file, there] = [join(tempDir(), "file"), join(disk, "there")];
  writeFileSync(file, "");
  openDataDir(there);
  assert.throws(() => openDataDir(file), refused(/file where a directory is to be/, /move it away.*--data DIR/));
  assert.throws(() => openDataDir(join(file, "below")), refused(/file where a directory is to be/, /move it away/));
  execFileSync("mount", ["-o", "remount,ro", disk]);
  for (const path of [there, join(disk, "new"), join(disk, "new", "below")])
    assert.throws(
      () => openDataDir(path),
      refused(new RegExp(`^cannot use the data directory ${path}: .*read-only \\(EROFS\\)$`), /mount it writable/),
    );
});

test("one that belongs to another user is told of, and works", () => {
  const path = join(tempDir(), "data");
  assert.deepEqual(openDataDir(path).warnings, []);
  chownSync(path, 1000, 1000);
  assert.match(openDataDir(path).warnings.join(), /belongs to user 1000.*chown -R root/);
});

test("a path too long for a socket is refused before anything is made", () => {
  const path = join(tempDir(), "x".repeat(100));
  assert.throws(() => openDataDir(path), /path is too long.* 107/s);
  assert.throws(() => statSync(path), { code: "ENOENT" });
});
