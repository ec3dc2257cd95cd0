import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { SandpiperError } from "../../../functions/model/errors.ts";
import {
  checkSources,
  directoriesOf,
  MAX_SOURCE_BYTES,
  MAX_SOURCE_FILES,
  packSources,
  unpackSources,
} from "../../../functions/model/sources.ts";

const invalid = (pattern: RegExp) => (error: unknown) =>
  error instanceof SandpiperError && error.code === "INVALID_SOURCE" && pattern.test(error.message);

const file = (path: string, text = "x") => ({ path, bytes: Buffer.from(text) });

describe("a source tree", () => {
  it("comes back as it went in, by path, whatever its order was", () => {
    const segment = fc.stringMatching(/^[a-zé_.-]{1,12}$/).filter((text) => text !== "." && text !== "..");
    const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join("/"));
    const tree = fc.uniqueArray(fc.record({ path, bytes: fc.uint8Array({ maxLength: 200 }) }), {
      selector: ({ path }) => path,
      minLength: 1,
    });
    fc.assert(
      fc.property(tree, (files) => {
        fc.pre(!files.some((a) => files.some((b) => b.path.startsWith(`${a.path}/`))));
        const packed = packSources(files);
        const unpacked = unpackSources(packed).map(({ path, bytes }) => [path, [...bytes]]);
        assert.deepEqual(
          unpacked,
          files.map(({ path, bytes }) => [path, [...bytes]]).sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
        );
        assert.deepEqual(packSources([...files].reverse()), packed);
      }),
    );
  });

  it("has no path that could lead out of it, or that a disk could not hold", () => {
    for (const path of [
      "",
      "/etc/passwd",
      "..",
      "../x",
      "a/../../x",
      "a/./b",
      ".",
      "a//b",
      "a/",
      "a\\b",
      "a\0b",
      "a\nb",
      "a\u0085b",
      "\ud800",
      "x".repeat(513),
      `${"x".repeat(256)}/y`,
    ]) {
      assert.throws(() => packSources([file(path)]), invalid(/path/), JSON.stringify(path));
    }
    checkSources([file("a/.hidden/..x/x..y/...")]);
  });

  it("has no more directories than files may need, however deep they lie", () => {
    const deep = (count: number) => Array.from({ length: count }, (_, index) => file(`${index}/${"d/".repeat(49)}x`));
    assert.deepEqual(directoriesOf(deep(200)).length, 10_000);
    packSources(deep(200));
    assert.throws(() => packSources(deep(201)), invalid(/more than 10000 directories/));
    packSources([file(`${"d/".repeat(63)}x`)]);
    assert.throws(() => packSources([file(`${"d/".repeat(64)}x`)]), invalid(/more than 64 segments/));
    const ordered = directoriesOf([file("a/b/c/x"), file("a!/x"), file("a/b/y"), file("z")]);
    assert.deepEqual(ordered, ["a", "a!", "a/b", "a/b/c"]);
  });

  it("has no path twice, and none that is file and directory", () => {
    assert.throws(() => packSources([file("a"), file("a")]), invalid(/twice/));
    assert.throws(() => packSources([file("a/b/c"), file("a/b")]), invalid(/both a file and a directory/));
    checkSources([file("a/b"), file("a/bc"), file("a.b")]);
  });

  it("has its limits", () => {
    assert.throws(() => packSources([]), invalid(/no files/));
    const many = Array.from({ length: MAX_SOURCE_FILES + 1 }, (_, i) => file(String(i), ""));
    assert.throws(() => packSources(many), invalid(/5001 files/));
    const large = { path: "a", bytes: new Uint8Array(MAX_SOURCE_BYTES) };
    checkSources([large]);
    assert.throws(() => checkSources([large, file("b")]), invalid(/bytes are more/));
  });
});

describe("what is no packed tree", () => {
  it("is refused wherever it was cut or changed, and never read beyond its end", () => {
    const packed = packSources([file("index.ts", "export default 1"), file("lib/a.ts", "1")]);
    for (let end = 0; end < packed.length; end++) {
      assert.throws(() => unpackSources(packed.subarray(0, end)), invalid(/./));
    }
    assert.throws(() => unpackSources(Buffer.concat([packed, Buffer.from([0])])), invalid(/after the last/));
    fc.assert(
      fc.property(fc.nat(packed.length - 1), fc.nat(255), (at, value) => {
        const changed = Buffer.from(packed);
        changed[at] = value;
        try {
          unpackSources(changed);
        } catch (error) {
          assert.ok(error instanceof SandpiperError, String(error));
        }
      }),
    );
  });

  it("is refused when a path in it is not UTF-8", () => {
    const packed = packSources([file("ab")]);
    packed[packed.indexOf("ab")] = 0xff;
    assert.throws(() => unpackSources(packed), invalid(/not UTF-8/));
  });
});
