import assert from "node:assert/strict";
import { chownSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { findConnection } from "../../../../functions/cli/client/connection.ts";
import { NO_PROFILES } from "../../../helpers/cli.ts";
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
  findConnection({ cwd, env: { XDG_CONFIG_HOME: NO_PROFILES, ...env } }, flags, checkout);

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

  it("in a .sandpiper that is a link, also where it names its key by the whole path", async () => {
    const real = withConnection();
    const cwd = freshDir();
    symlinkSync(join(real, ".sandpiper"), join(cwd, ".sandpiper"));
    assert.partialDeepStrictEqual(await find(cwd), { apiKey: KEY });
    const connection = { url: "http://127.0.0.1:1234", apiKeyFile: join(real, ".sandpiper", "api-key") };
    writeFileSync(join(real, ".sandpiper", "connection.json"), JSON.stringify(connection));
    assert.partialDeepStrictEqual(await find(cwd), { apiKey: KEY });
    const elsewhere = { ...connection, apiKeyFile: join(withConnection(), ".sandpiper", "api-key") };
    writeFileSync(join(real, ".sandpiper", "connection.json"), JSON.stringify(elsewhere));
    await assert.rejects(find(cwd), { code: "BAD_CONNECTION_FILE" });
  });

  it("with the file's key for the file's URL only", async () => {
    const cwd = withConnection();
    assert.partialDeepStrictEqual(await find(cwd, { SANDPIPER_URL: "http://127.0.0.1:1234/" }), { apiKey: KEY });
    await assert.rejects(find(cwd, { SANDPIPER_URL: "http://evil:1234" }), { code: "NO_API_KEY", kind: "auth" });
    await assert.rejects(find(cwd, { SANDPIPER_API_KEY: OTHER_KEY }), { code: "NO_CONNECTION" });
  });
});

describe("profiles", () => {
  const PROFILES = {
    current: "prod",
    profiles: {
      prod: { url: "https://prod.example", apiKey: OTHER_KEY },
      staging: { url: "https://staging.example", apiKey: "sp_aaaaaaaaaaaaaaaa_staging" },
    },
  };
  const config = (content: unknown = PROFILES, mode = 0o600): Record<string, string> => {
    const XDG_CONFIG_HOME = freshDir();
    mkdirSync(join(XDG_CONFIG_HOME, "sandpiper"));
    writeFileSync(join(XDG_CONFIG_HOME, "sandpiper", "profiles.json"), JSON.stringify(content), { mode });
    return { XDG_CONFIG_HOME };
  };
  const prod = { url: "https://prod.example", apiKey: OTHER_KEY };
  const staging = { url: "https://staging.example", apiKey: "sp_aaaaaaaaaaaaaaaa_staging" };

  it("come behind a connection file that is near, and before the checkout's", async () => {
    const env = config();
    assert.partialDeepStrictEqual(await find(freshDir(), env, {}, withConnection()), prod);
    assert.partialDeepStrictEqual(await find(withConnection(), env), { apiKey: KEY });
    const nobody = config({ ...PROFILES, current: null });
    assert.partialDeepStrictEqual(await find(freshDir(), nobody, {}, withConnection()), { apiKey: KEY });
  });

  it("come before every file when they are named, and behind a key that is given", async () => {
    const env = config();
    const named = { ...env, SANDPIPER_PROFILE: "prod" };
    assert.partialDeepStrictEqual(await find(withConnection(), named), prod);
    assert.partialDeepStrictEqual(await find(withConnection(), named, { profile: "staging" }), staging);
    const withKey = { ...env, SANDPIPER_API_KEY: KEY };
    assert.partialDeepStrictEqual(await find(freshDir(), withKey, { profile: "prod" }), { ...prod, apiKey: KEY });
    await assert.rejects(find(withConnection(), env, { profile: "prood" }), {
      code: "NO_PROFILE",
      hint: "there are: prod, staging",
    });
    await assert.rejects(find(withConnection(), env, { profile: "__proto__" }), { code: "NO_PROFILE" });
  });

  it("give their key to their own URL and to no other", async () => {
    const nobody = config({ ...PROFILES, current: null });
    assert.partialDeepStrictEqual(await find(freshDir(), nobody, { url: "https://staging.example/" }), staging);
    await assert.rejects(find(freshDir(), config(), { url: "http://prod.example" }), { code: "NO_API_KEY" });
    await assert.rejects(find(freshDir(), config(), { url: "https://staging.example", profile: "prod" }), {
      code: "NO_API_KEY",
    });
  });

  it("are not used when others can read them, or when they are damaged", async () => {
    await assert.rejects(find(freshDir(), config(PROFILES, 0o644)), { code: "PROFILES_UNSAFE", kind: "auth" });
    await assert.rejects(find(freshDir(), config({ current: 1 })), { code: "PROFILES_DAMAGED" });
    const env = config({ ...PROFILES, profiles: { prod: { ...prod, apiKey: "-----BEGIN PRIVATE KEY" } } });
    await assert.rejects(find(freshDir(), env), (error: Error) => {
      assert.doesNotMatch(error.message, /PRIVATE/);
      return true;
    });
    assert.partialDeepStrictEqual(await find(withConnection(), config({ current: 1 })), { apiKey: KEY });
  });
});

describe("what is not used as a connection", () => {
  it("is nothing at all: the error says what to do", async () => {
    await assert.rejects(find(freshDir()), {
      code: "NO_CONNECTION",
      kind: "unavailable",
      hint: /npm start.*login/,
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
