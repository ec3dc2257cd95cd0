/** What documents say of the tree, and a proof of each rule that it can fail. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { lostPaths, lostTests, misplacedKeys, unlistedFolders } from "./documents.ts";
import { parseSource } from "./source.ts";
import { strayTests, testsBySource, withTestsBySource } from "./tests-by-source.ts";
import { documents, paths, readText, sources } from "./tree.ts";

const clean = (problems: readonly string[]) => assert.deepEqual(problems, []);
const caught = (problems: readonly string[], pattern: RegExp) => {
  assert.equal(problems.length, 1, problems.join("\n"));
  assert.match(String(problems[0]), pattern);
};

describe("paths in documents", () => {
  test("lead somewhere", () => clean(lostPaths(documents, paths)));
  test("the rule catches a file, a folder and a path that is not from the root", () => {
    const there = ["worker/pool/pool.ts", "test/escape/posture-1.json", "sandbox-core/rootfs/base.ts"];
    const said = (text: string, path = "docs/a.md") => lostPaths([{ path, text }], there);
    caught(said("`worker/pool/pond.ts`"), /pond\.ts, which is not there/);
    caught(said("`worker/pond/` and `worker/pool/`"), /worker\/pond/);
    caught(said("`pool/pool.ts`"), /from the root/);
    caught(said("`pool.ts`"), /from the root/);
    clean(said("`worker/pool/pool.ts`, `worker/pool/`, `test/escape/posture-*.json`, `pool`, `node:fs`, `main.ts`"));
    clean(said("```ts\nimport './pond.ts' // `pond.ts`\n```"));
    clean(said("`rootfs/base.ts`", "docs/SECURITY-MODEL.md"));
    caught(said("`rootfs/place.ts`", "docs/SECURITY-MODEL.md"), /place/);
  });

  test("of tests in the security model lead to tests", () =>
    clean(lostTests(readText("docs/SECURITY-MODEL.md"), paths)));
  test("the rule catches a test that is not there", () => {
    const there = ["test/escape/files.test.ts", "test/sandbox-core/box/box.test.ts"];
    const table = (cell: string) => `| threat | wall | code | test |\n|---|---|---|---|\n| a | b | \`c\` | ${cell} |\n`;
    clean(lostTests(table("`escape/files`, `box/box`, natively"), there));
    caught(lostTests(table("`escape/files`, `escape/filez`"), there), /escape\/filez/);
  });
});

describe("the table of folders", () => {
  test("has all of them", () => clean(unlistedFolders(readText("docs/ARCHITECTURE.md"), paths)));
  test("the rule catches one that lacks", () => {
    const table = "## Folders\n\n| folder |\n|---|\n| `worker/pool/` |\n| `functions/examples/` |\n\n## Glossary\n";
    clean(unlistedFolders(table, ["worker/pool/a.ts", "functions/examples/hello/index.ts"]));
    caught(unlistedFolders(table, ["worker/pool/a.ts", "worker/pond/b.ts"]), /no row for worker\/pond/);
  });
});

describe("the table of keys", () => {
  test("has each key and its file", () => clean(misplacedKeys(readText("docs/ARCHITECTURE.md"), sources)));
  test("the rule catches a key that lacks, one too many, and another file", () => {
    const table =
      "## What is in Redis\n\n| `sp:logs:<tenant>` | stream | x | y | `functions/store/logs.ts` |\n\n## Next\n";
    const code = (path: string, key: string) => parseSource(path, `const key = "${key}";`);
    const logs = code("functions/store/logs.ts", "sp:logs:");
    clean(misplacedKeys(table, [logs]));
    caught(misplacedKeys(table, [logs, code("functions/store/a.ts", "sp:a")]), /sp:a is in functions\/store\/a\.ts/);
    caught(misplacedKeys(table, []), /sp:logs, which no code has/);
    caught(misplacedKeys(table, [code("functions/store/b.ts", "sp:logs:")]), /sp:logs is in functions\/store\/b\.ts/);
  });
});

describe("tests by source", () => {
  test("HACKING.md has the table as it would be written", () => {
    const document = readText("HACKING.md");
    assert.equal(document, withTestsBySource(document, testsBySource(sources)), "run `npm run tests-by-source`");
  });
  test("the table finds tests beside a source, above it, and elsewhere", () => {
    const tree = [
      parseSource("gateway/a.ts", ""),
      parseSource("gateway/deep/b.ts", ""),
      parseSource("test/gateway/a.test.ts", ""),
      parseSource("test/worker/c.test.ts", 'import { b } from "../../gateway/deep/b.ts";'),
    ];
    const [, , ...rows] = testsBySource(tree).split("\n");
    assert.deepEqual(rows, ["| `gateway/` | a |  |", "| `gateway/deep/` | with `gateway/` | worker/c |"]);
    assert.throws(() => withTestsBySource("no markers", ""), /lacks the markers/);
  });

  test("folders of tests mirror folders of sources", () => clean(strayTests(paths)));
  test("the rule catches one that does not", () => {
    const there = ["worker/pool/a.ts", "test/worker/pool/a.test.ts", "test/e2e/b.test.ts"];
    clean(strayTests(there));
    caught(strayTests([...there, "test/worker/pond/c.test.ts"]), /no worker\/pond/);
  });
});
