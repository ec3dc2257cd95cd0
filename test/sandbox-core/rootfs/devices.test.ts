/** /dev as a zygote makes it: what it is by number, and that it is never anything else. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { tempDir } from "../../helpers/temp-dir.ts";

const CHILD = join(import.meta.dirname, "fixtures/devices-child.ts");
const NUMBERS = { full: 0x107, null: 0x103, random: 0x108, urandom: 0x109, zero: 0x105 };
const LINKS = { fd: 0, stderr: 0, stdin: 0, stdout: 0 };

/** What the fixture says, started by these words. */
function make(before: string[], ...after: string[]): unknown {
  const [command = "", ...words] = [...before, process.execPath, CHILD, tempDir(), ...after];
  return JSON.parse(execFileSync(command, words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }));
}

test("its nodes are the devices that their names say", () => assert.deepEqual(make([]), { ...NUMBERS, ...LINKS }));

test("a node that became another device is refused by its number", () => {
  assert.throws(() => make([], "lying"), /\/dev\/null is not the character device 1:3/);
});

test("who may make no devices is told so", () => {
  assert.throws(() => make(["unshare", "--user", "--map-root-user"]), /mknod\(.*null\) failed: EPERM/);
});
