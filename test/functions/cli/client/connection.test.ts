import assert from "node:assert/strict";
import { chownSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { findConnection } from "../../../../functions/cli/client/connection.ts";
import { tempDir } from "../../../helpers/temp-dir.ts";

const base = tempDir();
const freshDir = () => mkdtempSync(join(base, "d-"));
const KEY = "sp_0123456789abcdef_secret-_secret";
const OTHER_KEY = "sp_fedcba9876543210_other";
const NOWHERE = "/nonexistent";

/** A directory with a connection file in it, as a running Sandpiper leaves it. */
function withConnection(url = "http://127.0.0.1:1234", apiKeyFile = "api-key", key = KEY): string {
  const dir = freshDir();
  mkdirSync(join(dir, ".sandpiper"));
  writeFileSync(join(dir, ".sandpiper", "api-key"), `${key}\n`);
  writeFileSync(join(dir, ".sandpiper", "connection.json"), JSON.stringify({ url, apiKeyFile }));
  return dir;
}

const find = (cwd: string, env: Record<string, string> = {}, flags = {}, checkout = NOWHERE) =>
  findConnection({ cwd, env }, flags, checkout);

describe("the gateway is found", () => {
  it("in flags before the environment, and there before any file", async () => {
    const cwd = withConnection();
    const env = { SANDPIPER_URL: "http://env:1/", SANDPIPER_API_KEY: OTHER_KEY };
    const keyFile = join(cwd, ".sandpiper", "api-key");
    assert.partialDeepStrictEqual(await find(cwd, env), { url: "http://env:1", apiKey: OTHER_KEY });
    assert.partialDeepStrictEqual(await find(cwd, env, { url: "https://flag/base/", apiKeyFile: keyFile }), {
      url: "https://flag/base",
      apiKey: KEY,
    });
  });

  it("in the connection file of the directory or one above, then of the checkout", async () => {
    const cwd = withConnection();
    mkdirSync(join(cwd, "a/b"), { recursive: true });
    assert.partialDeepStrictEqual(await find(join(cwd, "a/b")), { url: "http://127.0.0.1:1234", apiKey: KEY });
    assert.partialDeepStrictEqual(await find(freshDir(), {}, {}, cwd), { apiKey: KEY });
  });

  it("with the file's key for the file's URL only", async () => {
    const cwd = withConnection();
    assert.partialDeepStrictEqual(await find(cwd, { SANDPIPER_URL: "http://127.0.0.1:1234/" }), { apiKey: KEY });
    await assert.rejects(find(cwd, { SANDPIPER_URL: "http://evil:1234" }), { code: "NO_API_KEY", kind: "auth" });
    await assert.rejects(find(cwd, { SANDPIPER_API_KEY: OTHER_KEY }), { code: "NO_CONNECTION" });
  });
});

describe("what is not used as a connection", () => {
  it("is nothing at all: the error says what to do", async () => {
    await assert.rejects(find(freshDir()), {
      code: "NO_CONNECTION",
      kind: "unavailable",
      hint: /npm start.*SANDPIPER_URL/,
    });
  });

  it("is a key file elsewhere, or one that holds no key", async () => {
    await assert.rejects(find(withConnection(undefined, "/etc/hostname")), { code: "BAD_CONNECTION_FILE" });
    await assert.rejects(find(withConnection(undefined, undefined, "-----BEGIN PRIVATE KEY")), (error: Error) => {
      assert.doesNotMatch(error.message, /PRIVATE/);
      return true;
    });
    await assert.rejects(find(withConnection(undefined, "gone")), { code: "NO_API_KEY" });
  });

  it("is another user's file", { skip: process.getuid?.() !== 0 }, async () => {
    const cwd = withConnection();
    chownSync(join(cwd, ".sandpiper", "connection.json"), 12_345, 12_345);
    await assert.rejects(find(cwd), { code: "FOREIGN_CONNECTION_FILE" });
  });

  it("is damage, or a URL that is none", async () => {
    const cwd = withConnection();
    writeFileSync(join(cwd, ".sandpiper", "connection.json"), "{");
    await assert.rejects(find(cwd), { code: "BAD_CONNECTION_FILE" });
    for (const url of ["x", "ftp://a", "http://u:p@a", "http://a?q"]) {
      await assert.rejects(find(NOWHERE, { SANDPIPER_URL: url, SANDPIPER_API_KEY: KEY }), { code: "BAD_URL" }, url);
    }
  });
});
