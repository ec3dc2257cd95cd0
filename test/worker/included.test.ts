/** Files beside a bundle, in sandboxes of every kind. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { TestWorker } from "../helpers/worker.ts";

const FILES = {
  "src/index.ts": `
    import { readFileSync, readdirSync, statSync, writeFileSync, chmodSync, unlinkSync } from "node:fs";
    import { join } from "node:path";
    import { below } from "./lib/below.ts";
    const attempt = (work: () => unknown) => { try { work(); return "done"; } catch (error) { return error.code; } };
    export default () => Response.json({
      dirname: readFileSync(join(__dirname, "../page.html"), "utf8"),
      url: readFileSync(new URL("../views/a.txt", import.meta.url), "utf8"),
      meta: readFileSync(join(import.meta.dirname, "../views/a.txt"), "utf8"),
      cwd: readFileSync("views/deep/b.txt", "utf8"),
      below: below(),
      list: readdirSync(process.cwd()).sort(),
      write: attempt(() => writeFileSync("page.html", "x")),
      add: attempt(() => writeFileSync("views/new", "x")),
      mode: attempt(() => chmodSync("page.html", 0o777)),
      remove: attempt(() => unlinkSync("page.html")),
      places: [__dirname, __filename, import.meta.url, process.cwd()],
    });`,
  "src/lib/below.ts": `
    import { readFileSync } from "node:fs";
    export const below = () => [readFileSync(__dirname + "/own.sql", "utf8"), __filename, import.meta.dirname];`,
  "src/lib/own.sql": "select 1",
  "page.html": "<p>",
  "views/a.txt": "a",
  "views/deep/b.txt": "b",
  "views/secret.txt": "not included",
};
const INCLUDED = ["page.html", "views/a.txt", "views/deep/b.txt", "src/lib/own.sql"];
const FOUND = {
  dirname: "<p>",
  url: "a",
  meta: "a",
  cwd: "b",
  below: ["select 1", "/function/src/lib/below.ts", "/function/src/lib"],
  list: ["page.html", "src", "views"],
  write: "EROFS",
  add: "EROFS",
  mode: "EROFS",
  remove: "EROFS",
  places: ["/function/src", "/function/src/index.ts", "file:///function/src/index.ts", "/function"],
};

for (const launcher of ["fork", "exec"]) {
  describe(`included files (${launcher})`, () => {
    let test: TestWorker;
    before(async () => {
      test = await TestWorker.start({ SANDPIPER_LAUNCHER: launcher });
    });
    after(() => test.stop());

    it("are found by every name, read-only, and nothing else is", async () => {
      await test.deploy("found", FILES, { entry: "src/index.ts", included: INCLUDED });
      assert.deepEqual(JSON.parse((await test.call("found")).text), FOUND);
    });

    it("are there for each call that has a process of its own", async () => {
      await test.deploy("alone", FILES, { entry: "src/index.ts", included: INCLUDED, isolation: "invocation" });
      for (let call = 0; call < 3; call++) assert.deepEqual(JSON.parse((await test.call("alone")).text), FOUND);
    });

    it("are below the function's own directory, wherever that lies", async () => {
      const inside = Object.fromEntries(Object.entries(FILES).map(([path, text]) => [`apps/one/${path}`, text]));
      const included = INCLUDED.map((path) => `apps/one/${path}`);
      const files = { ...inside, "package.json": "{}" };
      await test.deploy("moved", files, { entry: "apps/one/src/index.ts", included, directory: "apps/one" });
      assert.deepEqual(JSON.parse((await test.call("moved")).text), FOUND);
    });

    it("hold the modules of threads, which see the same walls", async () => {
      const files = {
        "index.ts": `
          import { Worker } from "node:worker_threads";
          const ask = (worker) => new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
          export default async () =>
            Response.json(await Promise.all([
              ask(new Worker(new URL("./work.ts", import.meta.url), { workerData: 20 })),
              ask(new Worker(new URL("./old.cjs", import.meta.url), { workerData: 1 })),
            ]));`,
        "work.ts": `
          import { readFileSync } from "node:fs";
          import { parentPort, workerData } from "node:worker_threads";
          import { twice } from "./twice.ts";
          const attempt = (work: () => unknown) => { try { work(); return "done"; } catch (error) { return error.code; } };
          const shadow = attempt(() => readFileSync("/etc/shadow"));
          const setuid = attempt(() => process.setuid(0));
          const spawned = attempt(() => process.getBuiltinModule("node:child_process").execFileSync("/bin/true"));
          parentPort.postMessage([twice(workerData), shadow, setuid, spawned, import.meta.url]);`,
        "twice.ts": "export const twice = (n: number): number => 2 * n;",
        "old.cjs": `const { parentPort, workerData } = require("worker_threads"); var x = 1; delete x;
          parentPort.postMessage(workerData + 1);`,
      };
      await test.deploy("threads", files);
      const { text } = await test.call("threads");
      const [of, old] = JSON.parse(text || "[]");
      assert.deepEqual(of, [40, "ENOENT", "ERR_WORKER_UNSUPPORTED_OPERATION", of?.[3], "file:///function/work.ts"]);
      assert.match(of[3], /^(EPERM|ENOENT)$/);
      assert.equal(old, 2);
    });

    it("are all that CommonJS can load besides what is bundled", async () => {
      const files = {
        "index.js": `
          var t = 1; delete t;
          const name = (ending) => "./data/" + "one" + ending;
          exports.handler = async () => ({
            json: require(__dirname + "/data/one.json").one,
            code: require(process.cwd() + "/data/" + "two.js"),
            late: (await import("file://" + process.cwd() + "/data/two.js")).default,
            none: (() => { try { require("none" + ending); } catch (error) { return error.message; } })(),
          });
          const ending = "";`,
        "data/one.json": '{"one": 1}',
        "data/two.js": "module.exports = require('./one.json').one + 1;",
      };
      await test.deploy("requires", files, { entry: "index.js", included: ["data/one.json", "data/two.js"] });
      const { none, ...found } = JSON.parse((await test.call("requires")).text);
      assert.deepEqual(found, { json: 1, code: 2, late: 2 });
      assert.match(none, /Cannot load the module "none": it is neither in the bundle nor beside it/);
    });
  });
}
