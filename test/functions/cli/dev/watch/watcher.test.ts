import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, it } from "node:test";
import { WantedPaths, type WantedSources } from "../../../../../functions/cli/dev/watch/wanted-paths.ts";
import { Watcher } from "../../../../../functions/cli/dev/watch/watcher.ts";
import { tempDir } from "../../../../helpers/temp-dir.ts";

const base = tempDir();
const opened: Watcher[] = [];
afterEach(() => {
  for (const watcher of opened.splice(0)) watcher.close();
});

/** A directory with files, and the changes of it that are told, one after the other. */
class Watched {
  readonly root = mkdtempSync(join(base, "d-"));
  readonly watcher: Watcher;
  readonly told: (string | null)[] = [];
  #wake = () => {};

  constructor(files: readonly string[]) {
    for (const file of files) this.write(file, "1");
    this.watcher = new Watcher({
      onChange: (path) => {
        this.told.push(path);
        this.#wake();
      },
      onPolling: () => assert.fail("the kernel watches"),
    });
    opened.push(this.watcher);
  }

  at(path: string): string {
    return join(this.root, path);
  }

  write(path: string, text: string): void {
    mkdirSync(join(this.at(path), ".."), { recursive: true });
    writeFileSync(this.at(path), text);
  }

  watch(files: readonly string[], more: Partial<WantedSources> = {}, sinceMs = Date.now() + 60_000): void {
    const sources = {
      directory: this.root,
      files: files.map((file) => this.at(file)),
      imports: [],
      unresolved: [],
      include: [],
    };
    this.watcher.watch(new WantedPaths({ ...sources, ...more }), sinceMs);
  }

  /** Resolves when a change of the path is told that was not told before. */
  async change(path: string): Promise<void> {
    for (;;) {
      const index = this.told.indexOf(this.at(path));
      this.told.splice(0, index === -1 ? this.told.length : index + 1);
      if (index !== -1) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

it("tells of a file that is written, and of one that another is renamed to", async () => {
  const watched = new Watched(["index.ts", "other.ts"]);
  watched.watch(["index.ts"]);
  watched.write("index.ts", "2");
  await watched.change("index.ts");
  for (let save = 0; save < 3; save++) {
    // Editors write beside the file and rename.
    watched.write("index.ts~", String(save));
    renameSync(watched.at("index.ts~"), watched.at("index.ts"));
    await watched.change("index.ts");
  }
});

it("tells of nothing else in the same directory", async () => {
  const watched = new Watched(["index.ts", "other.ts", "deep/a.ts"]);
  watched.watch(["index.ts"]);
  watched.write("other.ts", "2");
  watched.write("deep/a.ts", "2");
  watched.write("index.ts", "2");
  await watched.change("index.ts");
  assert.ok(watched.told.every((path) => path === watched.at("index.ts")));
});

it("tells of a file that an import looked for, with the directories that it needs", async () => {
  const watched = new Watched(["index.ts"]);
  const unresolved = [{ importer: watched.at("index.ts"), specifier: "./new/deep/x.js" }];
  watched.watch(["index.ts"], { unresolved });
  mkdirSync(watched.at("new"));
  await watched.change("new");
  watched.watch(["index.ts"], { unresolved });
  mkdirSync(watched.at("new/deep"));
  await watched.change("new/deep");
  watched.watch(["index.ts"], { unresolved });
  watched.write("new/deep/x.ts", "1");
  await watched.change("new/deep/x.ts");
});

it("goes on watching a directory that was replaced", async () => {
  const watched = new Watched(["index.ts", "lib/a.ts"]);
  watched.watch(["index.ts", "lib/a.ts"]);
  for (let time = 0; time < 3; time++) {
    rmSync(watched.at("lib"), { recursive: true });
    await watched.change("lib");
    watched.write("lib/a.ts", "new");
    watched.watch(["index.ts", "lib/a.ts"]);
    watched.write("lib/a.ts", "newer");
    await watched.change("lib/a.ts");
  }
});

it("tells of what changed between reading and watching, and of nothing older", () => {
  const watched = new Watched(["index.ts", "lib/a.ts"]);
  watched.watch(["index.ts", "lib/a.ts"]);
  assert.deepEqual(watched.told, []);
  const late = new Watched(["index.ts"]);
  utimesSync(late.at("index.ts"), 1, 1);
  late.watch(["index.ts"], {}, Date.now() - 60_000);
  assert.deepEqual(late.told, [null]);
});

it("watches as many directories as the bundle has, and none when it is closed", () => {
  const watched = new Watched(["index.ts", "lib/a.ts", "lib/deep/b.ts"]);
  watched.watch(["index.ts", "lib/a.ts", "lib/deep/b.ts"]);
  const all = watched.watcher.size;
  watched.watch(["index.ts"]);
  assert.equal(watched.watcher.size, all - 2);
  watched.watcher.close();
  assert.equal(watched.watcher.size, 0);
});
