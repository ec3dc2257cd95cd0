import assert from "node:assert/strict";
import { it } from "node:test";
import { decodeBundlerResult, encodeBundlerResult, MAX_THREADS } from "../../../functions/model/bundle-output.ts";
import { MAX_INCLUDED_BYTES, MAX_INCLUDED_FILES } from "../../../functions/model/bundling.ts";
import { checkIncluded, includedFiles } from "../../../functions/model/included.ts";

const file = (path: string, size = 1) => ({ path, bytes: new Uint8Array(size) });
const pathsOf = (files: { path: string }[]) => files.map(({ path }) => path);

it("takes included files from below the function's directory, and from nowhere else", () => {
  const files = [file("fn/a"), file("fn/deep/b"), file("other/c"), file("fn2/d")];
  assert.deepEqual(pathsOf(includedFiles(files, "fn", ["fn/a", "fn/deep/b", "fn/a"])), ["a", "deep/b"]);
  assert.deepEqual(pathsOf(includedFiles(files, "", ["other/c"])), ["other/c"]);
  for (const path of ["other/c", "fn2/d"])
    assert.throws(() => includedFiles(files, "fn", [path]), {
      code: "INVALID_SOURCE",
      message: /outside of the function/,
    });
  for (const path of ["none", "fn", "../x", "fn/../other/c", "__proto__"])
    assert.throws(() => includedFiles(files, "fn", [path]), { code: "INVALID_SOURCE", message: /not among the files/ });
});

it("limits their number and size", () => {
  checkIncluded([file("a", MAX_INCLUDED_BYTES)]);
  assert.throws(() => checkIncluded([file("a", MAX_INCLUDED_BYTES), file("b")]), { code: "INVALID_SOURCE" });
  const many = Array.from({ length: MAX_INCLUDED_FILES + 1 }, (_, index) => file(String(index)));
  checkIncluded(many.slice(1));
  assert.throws(() => checkIncluded(many), { code: "INVALID_SOURCE", message: /files/ });
});

it("reads what a bundler wrote, and nothing that only looks like it", () => {
  const text = (words: string) => new TextEncoder().encode(words);
  const result = {
    code: text("code\n"),
    sourceMap: text("{}"),
    threads: [{ path: "w.js", bytes: text("w") }],
    warnings: ["a"],
  };
  const bytes = encodeBundlerResult(result);
  const read = decodeBundlerResult(bytes);
  assert.ok(read !== null && "code" in read);
  assert.deepEqual(
    [Buffer.from(read.code).toString(), Buffer.from(read.sourceMap).toString(), read.warnings],
    ["code\n", "{}", ["a"]],
  );
  assert.deepEqual(
    read.threads.map(({ path, bytes: own }) => [path, Buffer.from(own).toString()]),
    [["w.js", "w"]],
  );
  assert.deepEqual(decodeBundlerResult(encodeBundlerResult({ refusal: "no" })), { refusal: "no" });
  for (const forged of [
    Buffer.alloc(0),
    Buffer.from("null\n"),
    Buffer.concat([bytes, Buffer.from("more")]),
    bytes.subarray(0, -1),
    Buffer.from('{"codeBytes":-1,"mapBytes":1,"threads":[],"warnings":[]}\n'),
    Buffer.from('{"codeBytes":0,"mapBytes":0,"threads":[{"path":"../x","bytes":0}],"warnings":[]}\n'),
    Buffer.from('{"codeBytes":0,"mapBytes":0,"threads":[],"warnings":[{}]}\n'),
    Buffer.from(
      `${JSON.stringify({ codeBytes: 0, mapBytes: 0, warnings: [], threads: Array(MAX_THREADS + 1).fill({ path: "a", bytes: 0 }) })}\n`,
    ),
  ])
    assert.equal(decodeBundlerResult(forged), null, forged.toString());
});
