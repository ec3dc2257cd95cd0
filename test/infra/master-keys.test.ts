/** Where master keys come from, and how a service says that it got none. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { loadConfig } from "../../infra/config.ts";
import { readMasterKeys } from "../../infra/master-keys.ts";
import { UnfitError } from "../../infra/service.ts";
import { eventually } from "../helpers/eventually.ts";
import { stretched } from "../helpers/slowness.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const refused = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof UnfitError, String(error));
  assert.match(error.message, message);
  assert.doesNotMatch(error.message, /canary/);
  return true;
};

describe("master keys", () => {
  it("come from a file that nobody else can reach", async () => {
    const path = join(tempDir(), "keys");
    await assert.rejects(readMasterKeys({ from: "file", path }), refused(/cannot be read: ENOENT/));
    writeFileSync(path, "canary\n", { mode: 0o600 });
    assert.equal(await readMasterKeys({ from: "file", path }), "canary\n");
    chmodSync(path, 0o640);
    assert.equal(await readMasterKeys({ from: "file", path }), "canary\n");
    for (const mode of [0o604, 0o602, 0o644]) {
      chmodSync(path, mode);
      await assert.rejects(readMasterKeys({ from: "file", path }), refused(/every user .* chmod 600/));
    }
  });

  it("come from the environment, and from one place alone", async () => {
    const { masterKeySource } = loadConfig({ SANDPIPER_MASTER_KEY: "canary" });
    assert.equal(await readMasterKeys(masterKeySource), "canary");
    const both = { SANDPIPER_MASTER_KEY: "canary", SANDPIPER_MASTER_KEY_FILE: "/x" };
    assert.throws(() => loadConfig(both), /SANDPIPER_MASTER_KEY_FILE excludes/);
    await assert.rejects(readMasterKeys(loadConfig({}).masterKeySource), refused(/no master key.*openssl rand/));
  });

  it("come from what a command writes", async () => {
    const { masterKeySource } = loadConfig({ SANDPIPER_MASTER_KEY_COMMAND: "echo warning >&2; echo canary | cat" });
    assert.equal(await readMasterKeys(masterKeySource), "canary\n");
  });

  it("do not come from a command that fails, which is told by its own words", async () => {
    const from = (command: string) => readMasterKeys({ from: "command", command });
    await assert.rejects(from("echo canary; echo no access >&2; exit 3"), refused(/ended with 3, and said: no access/));
    await assert.rejects(from("kill -TERM $$"), refused(/ended by SIGTERM/));
    await assert.rejects(from("/no/such/program"), refused(/ended with 127.*not found/));
    await assert.rejects(from("yes canary"), refused(/wrote more than 65536 bytes/));
  });

  it("do not come from a command that hangs, which ends with all that it started", async () => {
    const directory = tempDir();
    const command = `sleep 1000 & echo $! > ${directory}/one; setsid sh -c 'echo $$ > ${directory}/two; exec sleep 1000'`;
    await assert.rejects(readMasterKeys({ from: "command", command }, stretched(500)), refused(/took longer than/));
    await eventually(() => !existsSync(`/proc/${readFileSync(join(directory, "one"), "utf8").trim()}`));
    // What has left the group holds nobody up, and is the command's own doing.
    if (existsSync(join(directory, "two"))) process.kill(Number(readFileSync(join(directory, "two"), "utf8")));
  });
});
