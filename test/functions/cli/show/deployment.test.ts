/** Words of `sandpiper deploy` about a bundle, and of what it changes. */
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { it } from "node:test";
import { changeLines, contentsLines } from "../../../../functions/cli/show/deployment.ts";

const plain = new PassThrough() as unknown as NodeJS.WriteStream;

it("names the largest packages, and counts the others", () => {
  const names = [null, "big", "b", "c", "d\u001b[2J", "e", "f", "g"];
  const packages = names.map((name, index) => ({ name, bytes: 1024 * (20 - index) }));
  const lines = contentsLines({ packages, others: { count: 3, bytes: 1024 }, builtins: [] });
  assert.equal(lines.length, 1);
  assert.match(String(lines), /^bundle: its own files 20.0 KiB, big 19.0 KiB, b .*, e 15.0 KiB, 5 more 28.0 KiB$/);
  assert.ok(!String(lines).includes("\u001b"));
});

it("says nothing of a bundle without packages, or of which nothing is known", () => {
  assert.deepEqual(
    contentsLines({ packages: [{ name: null, bytes: 1 }], others: { count: 0, bytes: 0 }, builtins: [] }),
    [],
  );
  assert.deepEqual(contentsLines(null), []);
});

it("tells what is another than in the version that was live", () => {
  const nothing = { added: [], removed: [] };
  const changes = {
    since: "0123456789abcdef",
    files: { added: 2, changed: 1, removed: 0 },
    config: ["memoryMiB"],
    env: { added: ["A"], removed: ["B"], changed: false },
    packages: { added: ["hono"], removed: [] },
    builtins: { added: ["node:net"], removed: ["node:fs"] },
  };
  assert.deepEqual(changeLines(changes, plain), [
    "changed since 0123456789ab: files 1 changed, 2 added; memoryMiB; env +A; env -B",
    "package: + hono",
    "imports: + node:net",
    "imports: - node:fs",
  ]);
  const files = { added: 0, changed: 0, removed: 0 };
  const value = {
    ...changes,
    files,
    config: [],
    packages: nothing,
    builtins: nothing,
    env: { ...nothing, changed: true },
  };
  assert.deepEqual(changeLines(value, plain), ["changed since 0123456789ab: a value of env"]);
  assert.deepEqual(changeLines(null, plain), []);
});
