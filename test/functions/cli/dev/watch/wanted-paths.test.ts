import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { WantedPaths, type WantedSources } from "../../../../../functions/cli/dev/watch/wanted-paths.ts";
import { tempDir } from "../../../../helpers/temp-dir.ts";

function wantedIn(root: string, directory: string, sources: Partial<WantedSources>): (path: string) => boolean {
  const wanted = new WantedPaths({ directory, files: [], imports: [], unresolved: [], include: [], ...sources });
  return (path) => {
    const [, at = "", name = ""] = /^(.*)\/([^/]+)$/.exec(join(root, path)) ?? [];
    return wanted.directories.has(at) && wanted.has(at, name);
  };
}

it("are the files of the bundle and what decides how they resolve, and no others beside them", () => {
  const root = tempDir();
  writeFileSync(join(root, "package.json"), "{}");
  const at = (path: string) => join(root, path);
  const files = ["fn/sandpiper.jsonc", "fn/index.ts", "fn/lib/a.ts", "node_modules/p/index.js"].map(at);
  const imports = [{ importer: at("fn/index.ts"), specifier: "./lib/a", resolved: at("fn/lib/a.ts") }];
  const isWanted = wantedIn(root, at("fn"), { files, imports });
  for (const path of ["fn/index.ts", "fn/lib/a.ts", "fn/sandpiper.jsonc", "node_modules/p/index.js"]) {
    assert.ok(isWanted(path), path);
  }
  for (const path of ["package.json", "fn/package.json", "fn/tsconfig.json", "fn/lib/tsconfig.json"]) {
    assert.ok(isWanted(path), path);
  }
  // A file that would be found before the one that is.
  assert.ok(isWanted("fn/lib/a.tsx"));
  // Directories on the way, which may be replaced.
  for (const path of ["fn/lib", "fn", "node_modules/p"]) assert.ok(isWanted(path), path);
  for (const path of [
    "fn/README.md",
    "fn/lib/b.ts",
    "fn/lib/a.ts.swp",
    "fn/lib/a.test.ts",
    "node_modules/p/other.js",
    "node_modules/q",
    "other",
  ]) {
    assert.ok(!isWanted(path), path);
  }
});

it("are where an import without a file looked for one, up to the project's outermost directory", () => {
  const outside = tempDir();
  const root = join(outside, "repository");
  mkdirSync(join(root, "fn"), { recursive: true });
  writeFileSync(join(root, "package.json"), "{}");
  const importer = join(root, "fn/index.ts");
  const unresolved = ["./missing", "../shared/x.js", "lodash/fp", "@scope/name"].map((specifier) => ({
    importer,
    specifier,
  }));
  const isWanted = wantedIn(root, join(root, "fn"), { files: [importer], unresolved });
  for (const path of ["fn/missing.ts", "fn/missing", "shared", "shared/x.ts"]) assert.ok(isWanted(path), path);
  for (const path of ["fn/node_modules", "node_modules", "node_modules/lodash", "node_modules/@scope/name"]) {
    assert.ok(isWanted(path), path);
  }
  assert.ok(isWanted("node_modules/lodash/package.json"));
  assert.ok(!isWanted("node_modules/other"));
  assert.ok(!isWanted("../node_modules"));
});

it("are those that `include` means or may mean, there or not, and no packages", () => {
  const root = tempDir();
  for (const path of ["views/deep", "pages/x", "node_modules/p", "data"])
    mkdirSync(join(root, path), { recursive: true });
  const include = ["views/**", "!views/**/*.md", "pages/*/index.html", "data", "one.txt"];
  const isWanted = wantedIn(root, root, { include });
  for (const path of ["views/new.html", "views/deep/new.html", "pages/x/index.html", "data/a.bin", "one.txt"]) {
    assert.ok(isWanted(path), path);
  }
  for (const path of ["views/a.md", "pages/x/other.html", "other.txt", "node_modules", "views/.env"]) {
    assert.ok(!isWanted(path), path);
  }
  // A directory that comes may bring some.
  assert.ok(!isWanted("pages/y"));
  mkdirSync(join(root, "pages/y"));
  assert.ok(isWanted("pages/y"));
  const everywhere = wantedIn(root, root, { include: ["**/*.html"] });
  assert.deepEqual(
    ["a.html", "views/deep/a.html", "views/deep", "node_modules", "node_modules/p/a.html", "a.txt"].map(everywhere),
    [true, true, true, false, false, false],
  );
});
