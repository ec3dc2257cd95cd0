/** `sandpiper backup` and `sandpiper restore`. */
import assert from "node:assert/strict";
import { chmod, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { createKey } from "../../../functions/store/tenant.ts";
import { startOperated } from "../../helpers/backups.ts";
import { cli } from "../../helpers/cli.ts";
import type { TestGateway } from "../../helpers/gateway.ts";
import { runCommand } from "../../helpers/in-process-cli.ts";
import { masterKeysOf } from "../../helpers/master-keys.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const masterKeys = masterKeysOf();
const cwd = tempDir();
let source: TestGateway;
let target: TestGateway;
before(async () => {
  source = await startOperated(masterKeys);
  target = await startOperated(masterKeys, { empty: true });
  await source.deploy("hello", { env: { PLAIN: "plain" } });
});
after(() => Promise.all([source.stop(), target.stop()]));

const envOf = ({ url, key }: TestGateway, apiKey = key) => ({ SANDPIPER_URL: url, SANDPIPER_API_KEY: apiKey });
const run = (test: TestGateway, ...args: string[]) => runCommand(args, { cwd, env: envOf(test) });

it("writes a file that nobody else may read, under its name when it is whole", async () => {
  await writeFile(join(cwd, "all.backup"), "of before");
  await chmod(join(cwd, "all.backup"), 0o644);
  const { code, stdout, stderr } = await run(source, "backup", "all.backup");
  assert.deepEqual([code, stdout], [0, ""], stderr);
  assert.match(
    stderr,
    /backed up 1 function of 1 tenant, 2 versions, .* files \(.*\)\n.*master key [0-9a-f]{12}, which is not in it/,
  );
  assert.equal((await stat(join(cwd, "all.backup"))).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(cwd), ["all.backup"]);
});

it("leaves the file of before when it fails", async () => {
  const { key } = await createKey(source.connection, "acme");
  const before = await readFile(join(cwd, "all.backup"));
  const refused = await runCommand(["backup", "all.backup", "--json"], { cwd, env: envOf(source, key) });
  assert.deepEqual([refused.code, JSON.parse(refused.stderr).error.code], [5, "NOT_OPERATOR"]);
  assert.deepEqual(await readFile(join(cwd, "all.backup")), before);
  assert.deepEqual(await readdir(cwd), ["all.backup"]);
});

it("says what is in a file without any gateway", async () => {
  const { code, stdout } = await runCommand(["restore", "all.backup", "--dry-run", "--json"], { cwd });
  const { tenants, versions, masterKeys: ids } = JSON.parse(stdout);
  assert.deepEqual([code, tenants, versions, ids], [0, { main: ["hello"] }, 2, [masterKeys.first.id]]);
  const told = await runCommand(["restore", "all.backup", "--dry-run"], { cwd });
  assert.match(told.stdout, /^made .* by Sandpiper .*, form \d+\nmain\/hello\n$/);
});

it("restores a file, and replaces nothing without being told", async () => {
  const first = await run(target, "restore", "all.backup");
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /main\/hello/);
  assert.equal((await fetch(`${target.url}/fn/main/hello/`)).status, 200);
  const again = await run(target, "restore", "all.backup", "--json");
  assert.equal(JSON.parse(again.stderr).error.code, "RESTORE_REFUSED");
  const asked = await run(target, "restore", "all.backup", "--replace", "--json");
  assert.equal(JSON.parse(asked.stderr).error.code, "NEEDS_YES");
  const replaced = await run(target, "restore", "all.backup", "--replace", "--yes", "--json");
  assert.deepEqual(JSON.parse(replaced.stdout).tenants, { main: ["hello"] });
});

it("goes through pipes", async () => {
  const all = await readFile(join(cwd, "all.backup"));
  const options = { cwd, env: envOf(target), input: all };
  const restored = await cli(["restore", "-", "--replace", "--yes", "--json"], options);
  assert.equal(restored.code, 0, restored.stderr);
  const made = await cli(["backup", "-"], { cwd, env: envOf(source) });
  assert.ok(made.code === 0 && made.stdout.startsWith("SANDPIPER BACKUP 1\n"), made.stderr);
  assert.equal((await run(source, "backup", "-", "--json")).code, 2);
});

it("refuses a file that was cut before anything is sent", async () => {
  const all = await readFile(join(cwd, "all.backup"));
  await writeFile(join(cwd, "cut.backup"), all.subarray(0, -10));
  for (const args of [["--dry-run"], ["--replace", "--yes"]]) {
    const { code, stderr } = await runCommand(["restore", "cut.backup", ...args, "--json"], { cwd });
    assert.deepEqual([code, JSON.parse(stderr).error.code], [1, "BACKUP_INVALID"]);
  }
  const none = await runCommand(["restore", "none.backup", "--json"], { cwd });
  assert.deepEqual([none.code, JSON.parse(none.stderr).error.code], [2, "NO_FILE"]);
});
