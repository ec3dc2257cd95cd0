import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { packSources } from "../../../functions/model/sources.ts";
import type { Sandbox } from "../../../sandbox-core/index.ts";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { type ProgramRun, runProgram } from "../../../sandbox-core/launcher/run-program.ts";
import { Builder } from "../../../worker/code/builder.ts";
import { eventually } from "../../helpers/eventually.ts";
import { openTestLauncher } from "../../helpers/sandbox-client.ts";
import { BUILD_DEFAULTS, TestWorker } from "../../helpers/worker.ts";

let test: TestWorker;
before(async () => {
  test = await TestWorker.start();
});
after(() => test.stop());

/** The message of a build that must fail. */
async function refusal(files: Record<string, string>, entry?: string): Promise<string> {
  const result = await test.build(files, entry);
  assert.equal(result.ok ? "built" : result.cause, "sources", "the build was not refused");
  return result.ok ? "" : result.message;
}

describe("building a bundle", () => {
  it("bundles TypeScript, JSX, JSON, text, binary files and packages of npm", async () => {
    await test.deploy(
      "all",
      {
        "src/index.tsx": `
          import { shout } from "shouting";
          import facts from "./facts.json";
          import poem from "./poem.txt";
          import bytes from "./data.bin";
          enum Kind { One = 1 }
          export default () => Response.json([shout("hi"), facts.a, poem, [...bytes], <b>x</b>, Kind.One]);`,
        "src/facts.json": `{"a": 7}`,
        "src/poem.txt": "roses\n",
        "src/data.bin": Buffer.from([0, 255, 128]),
        "node_modules/shouting/package.json": `{"name": "shouting", "main": "./lib.js"}`,
        "node_modules/react/package.json": `{"name": "react", "exports": {"./jsx-runtime": "./jsx.js"}}`,
        "node_modules/react/jsx.js": `export const jsx = (tag, { children }) => "<" + tag + ">" + children + "</" + tag + ">";`,
        "node_modules/shouting/lib.js": `exports.shout = (text) => text.toUpperCase();`,
      },
      { entry: "src/index.tsx" },
    );
    const { text } = await test.call("all");
    assert.deepEqual(JSON.parse(text), ["HI", 7, "roses\n", [0, 255, 128], "<b>x</b>", 1]);
  });

  it("lets a thrown error show the tenant's own file and line", async () => {
    await test.deploy("throws", {
      "index.ts": `import { fail } from "./lib/deep.ts";\nexport default () => fail();`,
      "lib/deep.ts": `type A = string;\n\nexport function fail(): never {\n  throw new Error("from the deep");\n}`,
    });
    const { id } = await test.call("throws");
    const [record] = await test.logs("throws", id);
    assert.match(record?.text ?? "", /from the deep[\s\S]*lib\/deep\.ts:4:9[\s\S]*index\.ts:2:/);
    assert.doesNotMatch(record?.text ?? "", /\/function\/|main\//);
  });

  it("shows a mistake with its file, its line and the source line", async () => {
    const message = await refusal({ "index.ts": `import "./lib.ts";`, "lib.ts": `let a = 1;\nlet b = = 2;\n` });
    assert.match(message, /lib\.ts:2:8:/);
    assert.match(message, /let b = = 2;/);
    assert.match(message, /Unexpected "="/);
  });

  it("passes warnings on without the platform's own analysis", async () => {
    const result = await test.build({ "index.ts": `export default (a: number) => a === NaN;` });
    assert.ok(result.ok);
    assert.equal(result.warnings.length, 1);
    assert.match(result.warnings[0] ?? "", /index\.ts:1:[\s\S]*a === NaN/);
    assert.doesNotMatch(result.warnings[0] ?? "", /100\.0%/);
  });

  it("says that the entry is missing", async () => {
    assert.match(await refusal({ "index.ts": "" }, "main.ts"), /"main\.ts" is not among the uploaded files/);
  });

  for (const entry of [
    "--version",
    "-",
    "a=b.ts",
    "=.ts",
    "out=dir/a=b.ts",

    "@a.ts",
    "a:b.ts",
    "?.ts",
    "[a]#.ts",
  ]) {
    it(`takes the entry ${entry} for the file of that name`, async () => {
      const decoys = { "b.ts": "export default 'decoy';", "dir/a": "", "a.ts": "export default 'decoy';" };
      const result = await test.build({ ...decoys, [entry]: `export default "right ${entry}";` }, entry);
      assert.ok(result.ok, JSON.stringify(result));
      const bundle = Buffer.from((await test.artifacts.get(result.bundle)) ?? "").toString();
      assert.ok(bundle.includes(`"right ${entry}"`), bundle);
      assert.doesNotMatch(bundle, /decoy/);
    });
  }

  it("refuses an entry that would be a pattern", async () => {
    const files = { "a*.ts": "export default 1;", "ab.ts": "export default 2;" };
    assert.match(await refusal(files, "a*.ts"), /"a\*\.ts" has a "\*", which the bundler would take for a pattern/);
  });

  // Each was read until the memory of the build was used up, or its time.
  for (const endless of [
    "/dev/zero",
    "/dev/full",
    "/dev/urandom",
    "/dev/stdin",
    "/proc/self/fd/0",
    "/proc/self/pagemap",
  ]) {
    it(`finds no ${endless}, whoever names it`, async () => {
      const byImport = await refusal({ "index.ts": `import "${endless}";` });
      assert.match(byImport, new RegExp(`Could not resolve "${endless}"`));
      const paths = JSON.stringify({ compilerOptions: { paths: { x: [endless] } } });
      assert.match(await refusal({ "index.ts": `import "x";`, "tsconfig.json": paths }), /Could not resolve "x"/);
      const inherited = JSON.stringify({ extends: endless });
      const extending = await test.build({ "index.ts": "export default 1;", "tsconfig.json": inherited });
      assert.ok(extending.ok, JSON.stringify(extending));
      assert.match(extending.warnings.join(), /Cannot find base config file/);
      const mapped = await test.build({ "index.ts": `export default 1;\n//# sourceMappingURL=${endless}` });
      assert.ok(mapped.ok, JSON.stringify(mapped));
    });
  }

  it("builds the same input once, and builds again when the store has lost it", async () => {
    const files = { "index.ts": `export default () => new Response("${Math.random()}");` };
    const built = await test.build(files);
    assert.ok(built.ok);
    const { writtenBytes, ...first } = built;
    assert.ok((writtenBytes ?? 0) > first.bundleBytes);
    assert.deepEqual(await test.build(files), first);
    const redis = test.redis.connect();
    const keys = await redis.keys("sp:build:*");
    const stored = await Promise.all(keys.map((key) => redis.get(key)));
    assert.equal(stored.filter((text) => text?.includes(first.bundle)).length, 1);
    const theirs = await test.build(files, "index.ts", {}, "other");
    assert.deepEqual(theirs, { ...first, writtenBytes }, "another tenant learns that it was built");
    await test.forget(first.bundle);
    assert.deepEqual(await test.build(files), { ...first, writtenBytes });
    assert.ok(await test.artifacts.has(first.bundle));
  });

  it("ends a bundler that would need too much, and says so", async () => {
    const huge = `export default "${"x".repeat(30 * 1024 * 1024)}";`;
    const copies = Array.from({ length: 2 }, (_, index) => [`big${index}.js`, huge] as const);
    const entry = `${copies.map(([path], index) => `import b${index} from "./${path}";`).join("\n")}
      export default () => new Response(b0 + b1);`;
    const message = await refusal({ "index.ts": entry, ...Object.fromEntries(copies) });
    assert.match(message, /larger than the limit|needed more than|takes too long/);
  });

  it("tells sources that take long from a machine that is slow", async (t) => {
    const launcher = await openTestLauncher();
    t.after(() => launcher.close());
    const bytes = Buffer.from(`export default () => new Response("${Math.random()}");`);
    const sourceDigest = await test.artifacts.sourcesOf("main").put(packSources([{ path: "index.ts", bytes }]));
    const request = { ...BUILD_DEFAULTS, tenant: "main", functionName: "built", sourceDigest, entry: "index.ts" };
    const buildWithin = (limits: Partial<ProgramRun>) => {
      const run = (program: ProgramRun) => runProgram(launcher, { ...program, ...limits });
      return new Builder({ redis: test.connection, artifacts: test.artifacts, run }).build(request);
    };
    const slow = await buildWithin({ timeoutMs: 1 });
    assert.ok(!slow.ok);
    assert.equal(slow.cause, "machine");
    assert.match(slow.message, /machine is too busy: the bundler got \d+ ms of processor time/);
    assert.equal((await buildWithin({})).ok, true, "it is tried again, and built");
  });

  it("runs the bundler once more when something ended it, and blames no source for that", async (t) => {
    const launcher = await openTestLauncher();
    t.after(() => launcher.close());
    const sources = packSources([{ path: "index.ts", bytes: Buffer.from("export default () => 'once more';") }]);
    const sourceDigest = await test.artifacts.sourcesOf("main").put(sources);
    const request = { ...BUILD_DEFAULTS, tenant: "main", functionName: "again", sourceDigest, entry: "index.ts" };
    let runs = 0;
    const buildWithKills = (kills: number) => {
      runs = 0;
      const run = (program: ProgramRun) => {
        runs += 1;
        return runs <= kills ? runProgram(killing(launcher), endless(program)) : runProgram(launcher, program);
      };
      return new Builder({ redis: test.connection, artifacts: test.artifacts, run }).build(request);
    };
    const failed = await buildWithKills(2);
    assert.deepEqual([failed.ok, runs], [false, 2]);
    assert.equal(!failed.ok && failed.cause, "machine");
    assert.match(failed.ok ? "" : failed.message, /ended the bundler, twice, by signal 9/);
    assert.deepEqual([(await buildWithKills(1)).ok, runs], [true, 2]);
  });
});

describe("a bundler that waits for the next build", () => {
  it("is that build's alone, replaced when it was killed, and gone when the builder closes", async (t) => {
    const launcher = await openTestLauncher();
    t.after(() => launcher.close());
    const started: Sandbox[] = [];
    const run = (program: ProgramRun) => runProgram(noting(launcher, started), program);
    const builder = new Builder({ redis: test.connection, artifacts: test.artifacts, run, warmMs: 1e9 });
    const build = async (files: Record<string, string>) => {
      const packed = packSources(Object.entries(files).map(([path, text]) => ({ path, bytes: Buffer.from(text) })));
      const sourceDigest = await test.artifacts.sourcesOf("main").put(packed);
      const request = { tenant: "main", functionName: "warm", sourceDigest, entry: "index.ts" };
      return await builder.build({ ...BUILD_DEFAULTS, ...request });
    };
    const waiting = (count: number) => eventually(() => started.length === count);
    const source = (text: string) => `export default () => ${JSON.stringify(text + Math.random())}`;
    assert.equal((await build({ "index.ts": source("first"), "secret.ts": "export const a = 1" })).ok, true);
    await waiting(2);
    const second = await build({ "index.ts": `import { a } from "./secret.ts"; ${source("second")}; a` });
    assert.match(second.ok ? "" : second.message, /Could not resolve "\.\/secret\.ts"/);
    await waiting(3);
    process.kill(started[2]?.pid as number, "SIGKILL");
    await started[2]?.exited;
    assert.equal((await build({ "index.ts": source("third") })).ok, true);
    // One for the build whose own was killed, and one that waits.
    await waiting(5);
    await builder.close();
    await Promise.all(started.map(({ exited }) => exited));
    assert.equal(started.length, 5);
  });
});

/** A launcher that notes its sandboxes. */
function noting(launcher: ZygoteLauncher, sandboxes: Sandbox[]): ZygoteLauncher {
  return new Proxy(launcher, {
    get(target, name) {
      if (name !== "start") return Reflect.get(target, name, target);
      return async (request: Parameters<ZygoteLauncher["start"]>[0]) => {
        const sandbox = await target.start(request);
        sandboxes.push(sandbox);
        return sandbox;
      };
    },
  });
}

/** The bundler, which goes on when it has made its bundle. */
function endless({ program, ...run }: ProgramRun): ProgramRun {
  const [node = "", ...args] = program.argv;
  const staying = "--import=data:text/javascript,setInterval(()=>{},1000)";
  return { ...run, program: { ...program, argv: [node, staying, ...args] } };
}

/** A launcher whose sandboxes somebody kills when their program has been started. */
function killing(launcher: ZygoteLauncher): ZygoteLauncher {
  return new Proxy(launcher, {
    get(target, name) {
      if (name !== "start") return Reflect.get(target, name, target);
      return async (request: Parameters<ZygoteLauncher["start"]>[0]) => {
        const sandbox = await target.start(request);
        process.kill(sandbox.pid, "SIGKILL");
        return sandbox;
      };
    },
  });
}
