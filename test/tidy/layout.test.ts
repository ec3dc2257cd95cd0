/** The layout of folders, and a proof of each of its rules that it can fail. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { facadeFromInside, folderCircles, foldersCrossed, namesakes, strayKeys, unexplainedFolders } from "./layout.ts";
import { parseSource, type Source } from "./source.ts";
import { paths, readText, sources } from "./tree.ts";

const source = (path: string, text: string): Source => parseSource(path, text);
const clean = (problems: readonly string[]) => assert.deepEqual(problems, []);
const caught = (problems: readonly string[], pattern: RegExp) => {
  assert.equal(problems.length, 1, problems.join("\n"));
  assert.match(String(problems[0]), pattern);
};

describe("folders", () => {
  test("need only what is below them", () => clean(foldersCrossed(sources)));
  test("the rule catches each wall, also for types", () => {
    for (const [path, specifier] of [
      ["sandbox-core/contract/a.ts", "../abi/linux.ts"],
      ["sandbox-core/abi/a.ts", "../contract/error.ts"],
      ["sandbox-core/syscall/a.ts", "../contract/error.ts"],
      ["sandbox-core/seccomp/a.ts", "../syscall/libc.ts"],
      ["sandbox-core/cgroup/a.ts", "../rootfs/mounts.ts"],
      ["sandbox-core/rootfs/a.ts", "../protocol/control.ts"],
      ["sandbox-core/protocol/a.ts", "../syscall/libc.ts"],
      ["sandbox-core/runtime/a.ts", "../protocol/control.ts"],
      ["sandbox-core/fork/a.ts", "../zygote/state.ts"],
      ["sandbox-core/fork/a.ts", "../launcher/launcher.ts"],
      ["sandbox-core/zygote/a.ts", "../launcher/launcher.ts"],
      ["sandbox-core/launcher/a.ts", "../zygote/state.ts"],
      ["sandbox-core/launcher/a.ts", "../fork/enter.ts"],
      ["sandbox-core/launcher/a.ts", "../runtime/main.ts"],
      ["sandbox-core/box/a.ts", "./cli/main.ts"],
      ["sandbox-core/box/cli/a.ts", "../../zygote/state.ts"],
      ["worker/pool/a.ts", "../path/steps.ts"],
      ["worker/instance/a.ts", "../pool/pool.ts"],
      ["worker/code/a.ts", "../instance/instance.ts"],
      ["worker/outcome/a.ts", "../code/bundles.ts"],
      ["worker/pool/a.ts", "../../sandbox-core/launcher/launcher.ts"],
      ["functions/model/a.ts", "../store/registry.ts"],
      ["functions/store/a.ts", "../transport/window.ts"],
      ["functions/transport/a.ts", "../store/registry.ts"],
      ["functions/cli/show/a.ts", "../../store/traces.ts"],
      ["gateway/http/a.ts", "../call/exchange.ts"],
      ["gateway/call/a.ts", "../control/app.ts"],
      ["infra/std/a.ts", "../config.ts"],
    ] as const)
      caught(foldersCrossed([source(path, `import type { X } from "${specifier}";`)]), /may not import/);
    clean(foldersCrossed([source("sandbox-core/zygote/a.ts", 'import { X } from "../fork/enter.ts";')]));
    clean(foldersCrossed([source("sandbox-core/box/cli/a.ts", 'import { X } from "./units.ts";')]));
  });

  test("the façade is for others", () => clean(facadeFromInside(sources)));
  test("the rule catches an import of it from inside", () =>
    caught(facadeFromInside([source("sandbox-core/box/a.ts", 'import type { Box } from "../index.ts";')]), /façade/));

  test("make no circle", () => clean(folderCircles(sources)));
  test("the rule catches a circle over three folders, and none through their parent", () => {
    const a = source("worker/a/one.ts", 'import type { B } from "../b/two.ts";');
    const b = source("worker/b/two.ts", 'import "../c/deep/three.ts";');
    const c = source("worker/c/deep/three.ts", 'import "../../a/four.ts";');
    assert.ok(folderCircles([a, b, c]).length > 0);
    clean(folderCircles([a, b, source("worker/c/deep/three.ts", 'import "../../main.ts";')]));
  });

  test("have a noun in the glossary", () => {
    const document = readText("docs/ARCHITECTURE.md");
    clean(unexplainedFolders(paths, /^## Glossary\n[\s\S]*?(?=^## |(?![\s\S]))/m.exec(document)?.[0] ?? ""));
  });
  test("the rule catches a folder without", () => {
    caught(unexplainedFolders(["worker/pond/a.ts"], "| pool | instances |"), /pond/);
    clean(unexplainedFolders(["worker/pool/a.ts", "worker/main.ts"], "| pool | instances |"));
  });
});

describe("names", () => {
  test("keys of Redis are in the store, the transport and the link", () => clean(strayKeys(sources)));
  test("the rule catches a key elsewhere", () =>
    caught(strayKeys([source("worker/code/a.ts", "const key = 'sp:build';")]), /key of Redis/));

  test("an exported class has a name of its own", () => clean(namesakes(sources)));
  test("the rule catches a namesake", () => {
    const one = source("worker/a.ts", "export class Room {}");
    caught(namesakes([one, source("gateway/a.ts", "export class Room {}")]), /class Room/);
    clean(namesakes([one, source("gateway/a.ts", "class Room {}")]));
  });
});
