/** The examples of docs/SANDBOX-CORE.md: each runs as it stands there, and prints what stands there. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { tempDir } from "../../helpers/temp-dir.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const document = readFileSync(join(ROOT, "docs/SANDBOX-CORE.md"), "utf8");
const blocks = [...document.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({ language, text }));

/** A project that has the library installed, as npm links a workspace. */
function project(): string {
  const directory = mkdtempSync(join(tempDir(), "example-"));
  mkdirSync(join(directory, "node_modules/@sandpiper"), { recursive: true });
  symlinkSync(join(ROOT, "sandbox-core"), join(directory, "node_modules/@sandpiper/sandbox-core"));
  writeFileSync(join(directory, "package.json"), '{"type":"module"}');
  return directory;
}

test("examples and outputs alternate", () => {
  assert.ok(blocks.length >= 12);
  assert.deepEqual(
    blocks.map(({ language }) => language),
    blocks.map((_, index) => (index % 2 === 0 ? "ts" : "text")),
  );
});

/** The heading that a block stands under. */
function headingOf(text: string): string {
  const before = document.slice(0, document.indexOf(text));
  return before.slice(before.lastIndexOf("\n## ") + 4).split("\n")[0] ?? "";
}

blocks.forEach(({ language, text = "" }, index) => {
  if (language !== "ts") return;
  test(headingOf(text), async () => {
    const file = join(project(), "example.ts");
    writeFileSync(file, text);
    const { stdout } = await promisify(execFile)(process.execPath, [file], { timeout: 60_000 });
    assert.equal(stdout, blocks[index + 1]?.text);
  });
});
