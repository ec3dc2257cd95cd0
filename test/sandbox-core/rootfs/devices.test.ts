/** /dev as the host's root makes it, and as the root of a user namespace does, who may make no node. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { tempDir } from "../../helpers/temp-dir.ts";

const CHILD = join(import.meta.dirname, "fixtures/devices-child.ts");
const NUMBERS = { full: 0x107, null: 0x103, random: 0x108, urandom: 0x109, zero: 0x105 };
const LINKS = { fd: 0, stderr: 0, stdin: 0, stdout: 0 };

/** What the fixture says in namespaces of its own, after a shell command there. */
function build(namespaces: string[], before = "true"): { mounts: string[]; numbers: object } {
  const script = `${before} && exec "$0" "$@"`;
  const words = [...namespaces, "sh", "-c", script, process.execPath, CHILD, tempDir()];
  return JSON.parse(execFileSync("unshare", words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }));
}

test("root makes nodes of its own: nothing of the host's is mounted", () => {
  const { mounts, numbers } = build(["--mount"]);
  assert.deepEqual(mounts, []);
  assert.deepEqual(numbers, { ...NUMBERS, ...LINKS });
});

test("root of a user namespace binds the host's nodes", () => {
  const { mounts, numbers } = build(["--mount", "--user", "--map-root-user"]);
  assert.deepEqual(mounts.sort(), Object.keys(NUMBERS).sort());
  assert.deepEqual(numbers, { ...NUMBERS, ...LINKS });
});

test("a node of the host's that is another device, or none, is refused by its number", () => {
  const namespaces = ["--mount", "--user", "--map-root-user"];
  const refusal = /\/dev\/null is not the character device 1:3/;
  assert.throws(() => build(namespaces, "mount --bind /dev/zero /dev/null"), refusal);
  assert.throws(() => build(namespaces, "mount --bind /etc/hostname /dev/null"), refusal);
});
