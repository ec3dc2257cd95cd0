/** `sandpiper dev` against a whole Sandpiper: gateway, worker, sandboxes. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { SANDPIPER } from "../helpers/cli.ts";
import { Dev, type DevOptions } from "../helpers/dev.ts";
import { eventually } from "../helpers/eventually.ts";
import { Platform } from "../helpers/platform.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const base = tempDir();
const HTML = { accept: "text/html" };

let platform: Platform;
before(async () => {
  platform = await Platform.start({ env: { SANDPIPER_GC_INTERVAL_MS: "0" } });
});
after(() => platform.stop());

const started: Dev[] = [];
afterEach(async () => {
  for (const dev of started.splice(0)) await dev.stop();
});

async function start(name: string, files: string | Record<string, string>, options?: DevOptions): Promise<Dev> {
  const all = typeof files === "string" ? { "index.ts": files } : files;
  const dev = await Dev.start(platform, mkdtempSync(join(base, "d-")), name, all, options);
  started.push(dev);
  return dev;
}

const answering = (text: string) => `export default () => new Response(${JSON.stringify(text)});`;

describe("a change", () => {
  it("is live, once, and a burst of changes is one, of which the last state counts", async () => {
    const files = {
      "index.ts": 'import { n } from "./n.ts"; export default () => String(n);',
      "n.ts": "export const n = 0;",
    };
    const dev = await start("changes", files);
    await dev.next("live");
    assert.equal(await dev.text(), "0");
    dev.write("n.ts", "export const n = 1;");
    const { changed, version } = await dev.next<{ changed: string[]; version: string }>("live");
    assert.deepEqual([changed, version.length], [["n.ts"], 64]);
    assert.equal(await dev.text(), "1");
    dev.atOnce(() => {
      for (let n = 2; n < 40; n++) dev.write("n.ts", `export const n = ${n};`);
      writeFileSync(join(dev.directory, "n.ts"), "export const n = 40;");
    });
    await dev.next("live");
    assert.equal(await dev.text(), "40");
    // What is no part of the bundle, or as it was, is no change.
    dev.write("README.md", "");
    dev.write("n.ts", "export const n = 40;");
    dev.write("n.ts", "export const n = 41;");
    await dev.next("live");
    assert.equal(await dev.text(), "41");
    assert.equal(dev.count("live"), 4);
  });

  it("of sandpiper.jsonc and of a file that an import looked for is live as well", async () => {
    const source = 'import { a } from "./lib/a"; export default (_, env) => [a, env.WHO].join(" ");';
    const dev = await start(
      "configured",
      { "index.js": source },
      { config: { entry: "index.js", env: { WHO: "me" } } },
    );
    const { code, message } = await dev.next<{ code: string; message: string }>("failed");
    assert.deepEqual([code, /Could not resolve "\.\/lib\/a"/.test(message)], ["BUILD_FAILED", true]);
    const unserved = await fetch(dev.url);
    assert.equal(unserved.status, 503);
    assert.match(await dev.text("/", HTML), /The function does not build[\s\S]*lib\/a/);
    mkdirSync(join(dev.directory, "lib"));
    dev.write("lib/a.ts", 'export const a = "hello";');
    await dev.next("live");
    assert.equal(await dev.text(), "hello me");
    dev.write("sandpiper.jsonc", JSON.stringify({ name: "configured", entry: "index.js", env: { WHO: "you" } }));
    await dev.next("live");
    assert.equal(await dev.text(), "hello you");
  });

  it("of what `include` means is live as well: a file, one that comes, a directory that comes", async () => {
    const source = `import { readdirSync, readFileSync } from "node:fs";
      export default () => Response.json(readdirSync("views", { recursive: true, withFileTypes: true })
        .filter((one) => one.isFile()).map((one) => readFileSync(one.parentPath + "/" + one.name, "utf8")).sort());`;
    const files = { "index.ts": source, "views/a.txt": "a" };
    const dev = await start("beside", files, { config: { include: ["views/**"] } });
    await dev.next("live");
    const isServed = (...texts: string[]) => eventually(async () => (await dev.text()) === JSON.stringify(texts));
    await isServed("a");
    dev.write("views/a.txt", "b");
    await isServed("b");
    dev.write("views/c.txt", "c");
    await isServed("b", "c");
    mkdirSync(join(dev.directory, "views/deep/er"), { recursive: true });
    dev.write("views/deep/er/d.txt", "d");
    await isServed("b", "c", "d");
    rmSync(join(dev.directory, "views/deep"), { recursive: true });
    await isServed("b", "c");
  });

  it("that does not build leaves the version before, and a browser sees why", async () => {
    const dev = await start("broken", answering("before"));
    await dev.next("live");
    dev.write("index.ts", "export default () => {");
    const { code, message } = await dev.next<{ code: string; message: string }>("failed");
    assert.equal(code, "BUILD_FAILED");
    assert.match(message, /index\.ts:1:22:/);
    assert.equal(await dev.text(), "before");
    assert.match(await dev.text("/", HTML), /does not build[\s\S]*index\.ts:1:22/);
    // Taken back, it is what is served already.
    dev.write("index.ts", answering("before"));
    await dev.next("unchanged");
    assert.equal(await dev.text("/", HTML), "before");
    dev.write("sandpiper.jsonc", "{");
    assert.equal((await dev.next<{ code: string }>("failed")).code, "CONFIG_INVALID");
    dev.write("sandpiper.jsonc", '{"name": "broken"}');
    dev.write("index.ts", answering("after"));
    await dev.next("live");
    assert.equal(await dev.text("/", HTML), "after");
  });

  it("begins with fresh instances, also when the files are as they were before", async () => {
    const counting = (text: string) => `let n = 0; export default () => \`${text} \${++n}\`;`;
    const dev = await start("fresh", counting("a"));
    await dev.next("live");
    assert.deepEqual([await dev.text(), await dev.text()], ["a 1", "a 2"]);
    dev.write("index.ts", counting("b"));
    await dev.next("live");
    assert.equal(await dev.text(), "b 1");
    dev.write("index.ts", counting("a"));
    await dev.next("live");
    assert.equal(await dev.text(), "a 1");
  });
});

describe("a call", () => {
  it("is told with its log and request, and an error with its place in the source", async () => {
    const source = [
      "export default (request: Request) => {",
      '  console.log("asked");',
      '  if (/throw/.test(request.url)) throw new Error("on <purpose>");',
      '  return "fine";',
      "};",
    ].join("\n");
    const dev = await start("called", source);
    await dev.next("live");
    assert.equal(await dev.text("/fine?a=b"), "fine");
    assert.equal((await dev.next<{ text: string }>("log")).text, "asked");
    const fine = await dev.next("call");
    assert.partialDeepStrictEqual(fine, { outcome: "ok", request: { method: "GET", path: "/fine?a=b", status: 200 } });
    const answer = await fetch(`${dev.url}/throw`, { headers: HTML });
    assert.equal(answer.status, 502);
    const page = await answer.text();
    for (const part of ["on &lt;purpose&gt;", "index.ts:3:", "FUNCTION_ERROR", "asked"])
      assert.ok(page.includes(part), page);
    assert.match(page, /\| {3}if \(\/throw\//);
    const failed = await dev.next<{ source: string; outcome: string }>("call");
    assert.equal(failed.outcome, "function_error");
    assert.match(failed.source, /^index\.ts:3:\d+\n {2}3 \| {3}if \(\/throw\//);
    const plain = await fetch(`${dev.url}/throw`);
    assert.partialDeepStrictEqual(await plain.json(), { error: { code: "FUNCTION_ERROR" } });
  });

  it("meets the version before when the module does not load, and a browser sees where it fails", async () => {
    const dev = await start("loading", answering("before"));
    await dev.next("live");
    dev.write("index.ts", `const a = 1;\nthrow new Error("at the top " + a);\n${answering("after")}`);
    const failed = await dev.next<{ code: string; message: string; source: string }>("failed");
    assert.equal(failed.code, "CHECK_FAILED");
    assert.match(failed.message, /at the top 1[\s\S]*index\.ts:2:7/);
    assert.match(failed.source, /^index\.ts:2:7\n {2}2 \| throw new Error/);
    assert.equal(await dev.text(), "before");
    const page = await dev.text("/", HTML);
    for (const part of ["The function does not load", "at the top 1", "2 | throw new Error"])
      assert.ok(page.includes(part));
    dev.write("index.ts", answering("mended"));
    await dev.next("live");
    assert.equal(await dev.text("/", HTML), "mended");
  });
});

describe("the function", () => {
  it("sees itself at the root of a host of its own, with the port of its URL", async () => {
    const dev = await start("hosted", "export default (request: Request) => request.url;");
    const { url } = await dev.next<{ url: string }>("started");
    assert.match(url, /^http:\/\/hosted-dev\.main\.localhost:\d+\/$/);
    assert.equal(await dev.text("/a%2Fb?c=d"), `${url}a%2Fb?c=d`);
  });
});

describe("the function at the gateway", () => {
  const stateOf = async (name: string) => (await platform.api(`/v1/functions/${name}`)).status;

  it("is one of its own beside the one that is deployed, and ends with the command", async () => {
    const url = await platform.deployFiles("live", answering("deployed"));
    const dev = await start("live", answering("developed"));
    assert.equal(dev.name, "live-dev");
    assert.equal(await dev.text(), "developed");
    assert.equal(await (await fetch(url)).text(), "deployed");
    const second = await Dev.open(platform, dev.directory);
    assert.equal(second.name, "live-dev-2");
    assert.deepEqual(await second.stop(), [0, null]);
    assert.deepEqual(await Promise.all(["live-dev-2", "live-dev", "live"].map(stateOf)), [404, 200, 200]);
    const refused = await platform.cli(["deploy", dev.directory, "--json"], {});
    assert.equal(refused.code, 0);
    writeFileSync(join(dev.directory, "sandpiper.jsonc"), '{"name": "live-dev"}');
    const taken = await platform.cli(["deploy", dev.directory, "--json"]);
    assert.deepEqual([taken.code, JSON.parse(taken.stderr).error.code], [3, "NAME_HELD"]);
    assert.deepEqual(await dev.stop(), [0, null]);
    assert.equal(await stateOf("live-dev"), 404);
    started.splice(0);
  });

  it("expires when the command was killed", async () => {
    const dev = await start("killed", answering("a"));
    started.splice(0);
    dev.child.kill("SIGKILL");
    await dev.exited;
    const redis = platform.redis.connect();
    const keys = ["sp:function:main:killed-dev", "sp:versions:main:killed-dev"];
    for (const key of keys) {
      const ttlMs = await redis.pttl(key);
      assert.ok(ttlMs > 0 && ttlMs <= 60_000, `${key} ${ttlMs}`);
      await redis.pexpire(key, 1);
    }
    await eventually(async () => (await redis.exists(...keys)) === 0);
    const next = await Dev.open(platform, dev.directory);
    assert.equal(next.name, "killed-dev");
    assert.equal(await next.text(), "a");
    // Its hold is lost while it runs, as when the machine slept.
    await redis.del(...keys);
    next.write("index.ts", answering("b"));
    await next.next("live");
    await next.next("live");
    assert.equal(await next.text(), "b");
    await next.stop();
  });
});

describe("on a terminal", () => {
  it("keys restart it and end it, and what functions wrote is escaped", async () => {
    const directory = mkdtempSync(join(base, "t-"));
    writeFileSync(join(directory, "sandpiper.jsonc"), '{"name": "typed"}');
    writeFileSync(join(directory, "index.ts"), 'console.log("\\u001b[2Jtop"); export default () => "x";');
    const env = {
      ...process.env,
      SANDPIPER_URL: platform.url,
      SANDPIPER_API_KEY: platform.apiKey,
      BROWSER: "/nonexistent",
    };
    const command = `"${process.execPath}" "${SANDPIPER}" dev "${directory}" --port 0`;
    const child = spawn("script", ["-qec", command, "/dev/null"], { env, stdio: ["pipe", "pipe", "inherit"] });
    let output = "";
    let wake = () => {};
    child.stdout.on("data", (text: Buffer) => {
      output += text;
      wake();
    });
    const says = async (pattern: RegExp): Promise<RegExpExecArray> => {
      for (;;) {
        const match = pattern.exec(output);
        if (match) return match;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    };
    const [, port] = await says(/http:\/\/\S*localhost:(\d+)\//);
    await says(/Keys: r restarts/);
    await fetch(`http://127.0.0.1:${port}/`);
    await says(/\\x1b\[2Jtop/);
    await says(/200 GET \//);
    child.stdin.write("o");
    await says(/\/nonexistent cannot be started: ENOENT/);
    child.stdin.write("r");
    await says(/live[\s\S]*live/);
    const ended = new Promise((resolve) => child.once("close", resolve));
    child.stdin.write("q");
    assert.equal(await ended, 0);
    assert.equal((await platform.api("/v1/functions/typed-dev")).status, 404);
  });
});

it("keeps the types of the environment up to date where they are", async () => {
  const dev = await start("typed-env", answering("x"));
  const file = join(dev.directory, "sandpiper-env.d.ts");
  await platform.cli(["types", dev.directory]);
  assert.doesNotMatch(readFileSync(file, "utf8"), /WHO/);
  dev.write("sandpiper.jsonc", '{"name": "typed-env", "env": {"WHO": "me"}}');
  await dev.next("note");
  assert.match(readFileSync(file, "utf8"), /readonly WHO: string;/);
  rmSync(file);
  dev.write("sandpiper.jsonc", '{"name": "typed-env", "env": {"WHAT": "it"}}');
  await dev.next("live");
  await dev.next("live");
  assert.throws(() => readFileSync(file));
});

it("says how to start a gateway where there is none, and ends with 7", async () => {
  const directory = mkdtempSync(join(base, "n-"));
  writeFileSync(join(directory, "sandpiper.jsonc"), '{"name": "none"}');
  writeFileSync(join(directory, "index.ts"), answering("x"));
  const { code, stderr } = await platform.cli(["--url", "http://127.0.0.1:1", "dev", directory]);
  assert.equal(code, 7);
  assert.match(stderr, /cannot reach the gateway[\s\S]*npm start/);
});
