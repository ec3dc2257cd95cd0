import assert from "node:assert/strict";
import { it } from "node:test";
import { MAX_PACKAGES } from "../../../functions/model/bundle-contents.ts";
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
    contents: { packages: [{ name: null, bytes: 5 }], others: { count: 0, bytes: 0 }, builtins: ["node:net"] },
    warnings: ["a"],
  };
  const bytes = encodeBundlerResult(result);
  const read = decodeBundlerResult(bytes);
  assert.ok(read !== null && "code" in read);
  assert.deepEqual(
    [Buffer.from(read.code).toString(), Buffer.from(read.sourceMap).toString(), read.warnings, read.contents],
    ["code\n", "{}", ["a"], result.contents],
  );
  assert.deepEqual(
    read.threads.map(({ path, bytes: own }) => [path, Buffer.from(own).toString()]),
    [["w.js", "w"]],
  );
  assert.deepEqual(decodeBundlerResult(encodeBundlerResult({ refusal: "no" })), { refusal: "no" });
  const { contents } = result;
  const right = { codeBytes: 0, mapBytes: 0, threads: [], contents, warnings: [] };
  const more = { ...right, contents: { ...contents, more: "kept by nobody" } };
  const known = decodeBundlerResult(Buffer.from(`${JSON.stringify(more)}\n`));
  assert.deepEqual(known !== null && "contents" in known && known.contents, contents);
  for (const forged of [
    Buffer.alloc(0),
    Buffer.from("null\n"),
    Buffer.concat([bytes, Buffer.from("more")]),
    bytes.subarray(0, -1),
    ...[
      { codeBytes: -1 },
      { threads: [{ path: "../x", bytes: 0 }] },
      { threads: Array(MAX_THREADS + 1).fill({ path: "a", bytes: 0 }) },
      { warnings: [{}] },
      { contents: undefined },
      { contents: { ...contents, packages: [{ name: 1, bytes: 1 }] } },
      { contents: { ...contents, packages: [{ name: "a", bytes: -1 }] } },
      { contents: { ...contents, packages: Array(MAX_PACKAGES + 1).fill({ name: "a", bytes: 1 }) } },
      { contents: { ...contents, others: { count: 1 } } },
      { contents: { ...contents, builtins: ["x".repeat(1_000)] } },
    ].map((wrong) => Buffer.from(`${JSON.stringify({ ...right, ...wrong })}\n`)),
  ])
    assert.equal(decodeBundlerResult(forged), null, forged.toString());
});
