/**
 * Sources that try to have the bundler read what is not theirs. The kernel keeps the host's files
 * away; what is left outside the uploaded tree is the sandbox's own, and that does not get into a
 * bundle either.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { TestWorker } from "../helpers/worker.ts";

let test: TestWorker;
before(async () => {
  test = await TestWorker.start();
});
after(async () => {
  await test.stop();
  rmSync(outside, { recursive: true });
});

/** Files of the host that exist, and whose first lines a message could quote. */
const outside = mkdtempSync(join(tmpdir(), "sp-outside-"));
const [module, broken, settings] = ["module.js", "broken.js", "tsconfig.json"].map((name) => join(outside, name)) as [
  string,
  string,
  string,
];
writeFileSync(module, `export default "HOST-SECRET-1";`);
writeFileSync(broken, `let a = = "HOST-SECRET-2";`);
writeFileSync(settings, `{"compilerOptions": {"jsxFactory": "HOST-SECRET-3"} oops}`);

/** What files of the host, of the sandbox and of its /proc hold. */
const SECRETS = /HOST-SECRET|root:|localhost|function:x|nameserver|\btmpfs\b|ext4|sandpiper-build|\x7fELF|Seccomp/;

const UP = "../".repeat(12);
const json = JSON.stringify;
const text = (path: string, type = "text") => ({
  "index.ts": `import t from "${path}" with { type: "${type}" }; export default t;`,
});
const plain = (path: string) => ({ "index.ts": `import t from "${path}"; export default t;` });
const settled = (config: object) => ({ "index.ts": "export default 1;", "tsconfig.json": json(config) });
const evil = (manifest: object) => ({ ...plain("evil"), "node_modules/evil/package.json": json(manifest) });
const mapped = (url: string) => ({ ...plain("./lib.js"), "lib.js": `export default 1;\n//# sourceMappingURL=${url}` });

type Case = [name: string, files: Record<string, string>];

/** What leads outside, to something that is there or not: no bundle comes of it. */
const REFUSED: Case[] = [
  ["an absolute path of the host", plain(module)],
  ["a broken file of the host, which a message would quote", plain(broken)],
  ["dots", plain(`..${UP}etc/shadow`)],
  ["dots to a file of the host", plain(`${UP}${module.slice(1)}`)],
  ["a file URL", plain("file:///etc/hosts")],
  ["a data URL that imports", plain("data:text/javascript,import b from '/etc/hosts'; export default b")],
  ["a text of the sandbox's own", text("/etc/hosts")],
  ["JSON that is none, which a message would quote", text("/etc/passwd", "json")],
  ["type file", text("/etc/hosts", "file")],
  ["type copy", text("/etc/hosts", "copy")],
  ["the mounts", text("/proc/self/mountinfo", "bytes")],
  ["the environment", text("/proc/self/environ", "bytes")],
  ["the memory", text("/proc/self/mem", "bytes")],
  ["the bundler's own program", text("/proc/self/exe", "bytes")],
  ["the link to the root, through self", text("/proc/self/root/etc/hosts")],
  ["the link to the root, through process 1", text("/proc/1/root/etc/passwd")],
  ["the link to the working directory", text("/proc/self/cwd/../etc/hosts")],
  ["an open descriptor", text("/proc/self/fd/1")],
  ["an endless device", text("/dev/zero", "bytes")],
  ["an endless device of randomness", text("/dev/urandom", "base64")],
  ["standard input", text("/dev/stdin", "bytes")],
  ["tsconfig extends, which a message would quote", settled({ extends: "/etc/hosts" })],
  ["tsconfig extends of a directory", settled({ extends: "../etc" })],
  [
    "tsconfig paths",
    { ...plain("secret"), "tsconfig.json": json({ compilerOptions: { paths: { secret: ["/etc/hosts"] } } }) },
  ],
  [
    "tsconfig baseUrl",
    {
      ...plain("secret"),
      "tsconfig.json": json({ compilerOptions: { baseUrl: "/", paths: { secret: ["etc/hosts"] } } }),
    },
  ],
  [
    "tsconfig paths to the host",
    { ...plain("secret"), "tsconfig.json": json({ compilerOptions: { paths: { secret: [module] } } }) },
  ],
  ["a package's main", evil({ main: `${UP}etc/hosts` })],
  ["a package's main, absolute", evil({ main: "/etc/hosts" })],
  ["a package's main to the host", evil({ main: `${UP}${module.slice(1)}` })],
  ["a package's module", evil({ module: `${UP}etc/hosts` })],
  ["a package's browser", evil({ browser: `${UP}etc/hosts` })],
  ["a package's exports", evil({ exports: "../../../etc/hosts" })],
  ["a package's exports that begin as they should", evil({ exports: { ".": "./../../../etc/hosts" } })],
  ["a package's imports", { ...plain("#x"), "package.json": json({ imports: { "#x": "/etc/hosts" } }) }],
  [
    "a JSX runtime",
    { "index.tsx": "/** @jsxImportSource /etc */ export default <a/>;", "index.ts": `import "./index.tsx";` },
  ],
  ["a pattern of paths", { "index.ts": `export default (name: string) => import("../etc/" + name + ".conf");` }],
  ["an import as text, by a query", { "index.ts": `export { default } from "/etc/hosts?raw";` }],
  ["an import as bytes, by dots", { "index.ts": `export { default } from "${UP}etc/passwd?bytes";` }],
  ["an import as text", { "index.ts": `export { default } from "/etc/hosts" with { type: "text" };` }],
  ["WebAssembly", { "index.ts": `export { default } from "/etc/hosts?module";` }],
  ["a source map of the sandbox's own", mapped("/etc/hosts")],
  ["a source map by dots", mapped(`${UP}etc/passwd`)],
];

/** What names something outside and gets nothing of it: the bundle is made without. */
const WITHOUT: Case[] = [
  ["tsconfig extends of an endless device, which is not there", settled({ extends: "/dev/zero" })],
  ["a source map without end, which is not there", mapped("/dev/zero")],
  ["tsconfig extends of the host, which is not there", settled({ extends: settings })],
  ["tsconfig extends by dots", settled({ extends: `${UP}${settings.slice(1)}` })],
  [
    "browser fields, which a function has no use for",
    { ...plain("./x.js"), "x.js": "export default 1;", "package.json": json({ browser: { "./x.js": "/etc/hosts" } }) },
  ],
  [
    "a style sheet, which is a text",
    {
      "index.ts": `export { default } from "./a.css";`,
      "a.css": `@import "/etc/hosts"; a { background: url(/etc/passwd) }`,
    },
  ],
  ["a thread", { "index.ts": `export default () => new Worker(new URL("/etc/hosts", import.meta.url));` }],
  ["a URL", { "index.ts": `export default new URL("/etc/hosts", import.meta.url).href;` }],
  ["a reference", { "index.ts": `/// <reference path="/etc/hosts" />\nexport default 1;` }],
  [
    "a path that is put together when it runs",
    { "index.ts": `export default (name: string) => import("/etc/" + name);` },
  ],
];

describe("what leads outside the uploaded files", () => {
  for (const [name, files] of REFUSED)
    it(`finds nothing by ${name}, and tells nothing`, async () => {
      const result = await test.build(files);
      assert.equal(result.ok, false, "the build was not refused");
      assert.doesNotMatch(result.ok ? "" : result.message, SECRETS);
    });

  for (const [name, files] of WITHOUT)
    it(`gets nothing by ${name}`, async () => {
      const result = await test.build(files);
      assert.ok(result.ok, "the build was refused");
      for (const digest of [result.bundle, result.sourceMap])
        assert.doesNotMatch(Buffer.from((await test.artifacts.get(digest)) ?? "").toString("latin1"), SECRETS);
      assert.doesNotMatch(result.warnings.join("\n"), SECRETS);
    });
});

describe("a source map of an uploaded file", () => {
  it("may name files outside; none of them is read, when it is bundled or when an error is shown", async () => {
    const map = {
      version: 3,
      sources: ["/etc/passwd", module, "file:///etc/hosts"],
      names: [],
      mappings: "AAAA,ACAA,ACAA,ACAA",
    };
    await test.deploy("mapped", {
      "index.ts": `import fail from "./lib.js"; export default () => fail();`,
      "lib.js": `export default function fail() { throw new Error("mapped"); }\n//# sourceMappingURL=lib.js.map`,
      "lib.js.map": json(map),
    });
    const { id, outcome } = await test.call("mapped");
    assert.equal(outcome, "function_error");
    const [record] = await test.logs("mapped", id);
    assert.match(record?.text ?? "", /Error: mapped/);
    assert.doesNotMatch(record?.text ?? "", SECRETS);
  });
});
