/** The command as a process, without a gateway: what it prints where, and its exit codes. */
import assert from "node:assert/strict";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { EXIT_CODES } from "../../../functions/cli/failure.ts";
import { configJsonSchema, functionConfigSchema } from "../../../functions/model/manifest.ts";
import { cli, SANDPIPER, startCli } from "../../helpers/cli.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const base = tempDir();
const freshDir = () => mkdtempSync(join(base, "d-"));
/** Has a process name each module that it loads, on standard error. */
const TELLS_MODULES = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from "node:module";
  registerHooks({ load(url, context, next) { process.stderr.write(url + "\\n"); return next(url, context); } });
`)}`;
const COMMANDS = [
  "init",
  "dev",
  "types",
  "deploy",
  "invoke",
  "list",
  "info",
  "logs",
  "calls",
  "secret",
  "delete",
  "egress",
  "quota",
  "usage",
  "gc",
  "doctor",
  "schema",
  "versions",
  "rollback",
  "promote",
  "alias",
  "open",
  "sign",
  "whoami",
  "completion",
];

/** A port on which nobody listens: it was ours a moment ago. */
let nowhere: { SANDPIPER_URL: string; SANDPIPER_API_KEY: string };
before(async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  await new Promise((resolve) => server.close(resolve));
  nowhere = { SANDPIPER_URL: `http://127.0.0.1:${address.port}`, SANDPIPER_API_KEY: "sp_0123456789abcdef_x" };
});

describe("help", () => {
  it("names every command, every exit code and where the gateway is looked for", async () => {
    const { code, stdout } = await cli(["--help"], { cwd: base });
    assert.equal(code, 0);
    for (const command of COMMANDS) assert.match(stdout, new RegExp(`^  ${command}`, "m"));
    for (const { code, meaning } of Object.values(EXIT_CODES)) assert.ok(stdout.includes(`  ${code}  ${meaning}\n`));
    assert.match(stdout, /SANDPIPER_URL and SANDPIPER_API_KEY/);
  });

  it("of each command has examples", async () => {
    const helps = await Promise.all(COMMANDS.map((command) => cli([command, "--help"], { cwd: base })));
    for (const { code, stdout } of helps) {
      assert.equal(code, 0);
      assert.match(stdout, /\nExamples:\n {2}\S/);
    }
  });

  it("loads no command, and of a command nothing but its file", async () => {
    const loads = async (...args: string[]) => {
      const { stderr } = await cli(args, { cwd: base, nodeArguments: ["--import", TELLS_MODULES] });
      return stderr.split("\n").filter((line) => /\/cli\/commands\/|node_modules\/(?!commander)/.test(line));
    };
    assert.deepEqual(await loads("--help"), []);
    for (const command of COMMANDS) {
      const [only = "", ...others] = await loads("help", command);
      assert.ok(only.endsWith(`/commands/${command}.ts`), only);
      assert.deepEqual(others, []);
    }
  });

  it("loads none of zod's languages but the one that it speaks", async () => {
    const cwd = freshDir();
    writeFileSync(join(cwd, "sandpiper.jsonc"), '{"name": "hi", "entry": "index.js"}');
    writeFileSync(join(cwd, "index.js"), "export default () => 1");
    const nodeArguments = ["--import", TELLS_MODULES];
    const { code, stderr } = await cli(["deploy", "--dry-run"], { cwd, nodeArguments });
    assert.equal(code, 0, stderr);
    const languages = stderr.split("\n").filter((line) => /zod\/.*\/locales\//.test(line));
    assert.deepEqual(
      languages.map((url) => url.slice(url.lastIndexOf("/"))),
      ["/en.js"],
    );
  });

  it("keeps what Node compiled in a directory that nobody else can write to, or not at all", async () => {
    const cache = freshDir();
    const help = () => cli(["--help"], { cwd: base, env: { XDG_CACHE_HOME: cache } });
    await help();
    const directory = join(cache, "sandpiper/compiled");
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    const [version = ""] = readdirSync(directory);
    assert.ok(readdirSync(join(directory, version)).length > 0);
    rmSync(join(directory, version), { recursive: true });
    chmodSync(directory, 0o777);
    assert.equal((await help()).code, 0);
    assert.deepEqual(readdirSync(directory), []);
  });

  it("has its exit codes in docs/CLI.md", () => {
    const docs = readFileSync(join(import.meta.dirname, "../../../docs/CLI.md"), "utf8");
    for (const { code, meaning } of Object.values(EXIT_CODES))
      assert.ok(docs.includes(`| ${code} | ${meaning} |`), meaning);
    for (const command of COMMANDS) assert.ok(docs.includes(`\n## sandpiper ${command}`), command);
  });
});

describe("a wrong command line", () => {
  it("is exit code 2, with a suggestion", async () => {
    for (const [args, text] of [
      [["depoly"], /unknown command 'depoly'\n\(Did you mean deploy\?\)/],
      [["list", "--jsn"], /unknown option '--jsn'/],
      [["invoke"], /missing required argument 'function'/],
      [["logs", "a", "--since", "soon"], /A duration is a number/],
      [["calls", "list", "a"], /Allowed choices are show/],
      [["init", "x", "--template", "tss"], /no template "tss"\nhint: did you mean ts\?/],
    ] as const) {
      const { code, stdout, stderr } = await cli([...args], { cwd: base });
      assert.equal(code, 2, stderr);
      assert.equal(stdout, "");
      assert.match(stderr, text);
    }
  });

  it("is one JSON object on stderr with --json", async () => {
    const { code, stdout, stderr } = await cli(["depoly", "--json"], { cwd: base });
    assert.equal(code, 2);
    assert.equal(stdout, "");
    assert.partialDeepStrictEqual(JSON.parse(stderr), { error: { code: "USAGE", exitCode: 2 } });
  });
});

describe("sandpiper init", () => {
  for (const template of ["ts", "js", "lambda", "hono", "server", "fetch"]) {
    it(`makes a directory from the template ${template} that could be deployed`, async () => {
      const cwd = freshDir();
      const made = await cli(["init", "My Fn", "-t", template, "--json"], { cwd });
      assert.equal(made.code, 0, made.stderr);
      const { name, directory, files } = JSON.parse(made.stdout);
      assert.equal(name, "my-fn");
      assert.deepEqual(readdirSync(directory).sort(), [...files].sort());
      assert.deepEqual(JSON.parse(readFileSync(join(directory, ".sandpiper-schema.json"), "utf8")), configJsonSchema());
      assert.match(readFileSync(join(directory, ".gitignore"), "utf8"), /^node_modules\/$/m);
      // hono's package is what npm install would bring.
      const options = template === "hono" ? { recursive: true } : undefined;
      if (options) linkPackage(directory, "hono");
      const listed = await cli(["deploy", "My Fn", "--dry-run", "--json"], { cwd });
      assert.equal(listed.code, 0, listed.stderr);
      const paths = JSON.parse(listed.stdout).files.map(({ path }: { path: string }) => path);
      assert.ok(!paths.some((path: string) => /jsonc|gitignore|schema/.test(path)));
    });
  }

  it("prints what to do next, in words that work when typed", async () => {
    const { stdout } = await cli(["init", "hi"], { cwd: freshDir(), env: { npm_command: "exec" } });
    assert.match(
      stdout,
      /Next:\n {2}npx sandpiper dev hi .*\n {2}npx sandpiper deploy hi\n {2}npx sandpiper invoke hi --logs\n$/,
    );
  });

  it("overwrites nothing", async () => {
    const cwd = freshDir();
    writeFileSync(join(cwd, "index.ts"), "mine");
    const { code, stderr } = await cli(["init"], { cwd });
    assert.equal(code, 3);
    assert.match(stderr, /already has index\.ts; nothing was written/);
    assert.deepEqual(readdirSync(cwd), ["index.ts"]);
  });
});

/** The package as an installation has it: a plain copy of what the root has installed. */
function linkPackage(directory: string, name: string): void {
  const from = join(import.meta.dirname, "../../../node_modules", name);
  const to = join(directory, "node_modules", name);
  mkdirSync(to, { recursive: true });
  copyFileSync(join(from, "package.json"), join(to, "package.json"));
  for (const file of readdirSync(join(from, "dist"), { recursive: true, withFileTypes: true })) {
    if (!file.isFile() || !file.name.endsWith(".js")) continue;
    const target = file.parentPath.replace(from, to);
    mkdirSync(target, { recursive: true });
    copyFileSync(join(file.parentPath, file.name), join(target, file.name));
  }
}

describe("sandpiper deploy, before it reaches a gateway", () => {
  it("shows the wrong line of the configuration: exit code 3", async () => {
    const cwd = freshDir();
    writeFileSync(join(cwd, "sandpiper.jsonc"), '{\n  "name": "a",\n  "timeout": 5\n}');
    const { code, stdout, stderr } = await cli(["deploy"], { cwd });
    assert.equal(code, 3);
    assert.equal(stdout, "");
    assert.match(stderr, /sandpiper\.jsonc:3:3: unknown field "timeout"\n {2}3 \| {3}"timeout": 5\n/);
  });

  it("names the entry that is missing, and the file that may be meant", async () => {
    const cwd = freshDir();
    writeFileSync(join(cwd, "sandpiper.jsonc"), '{"name": "a", "entry": "main.js"}');
    writeFileSync(join(cwd, "index.js"), "");
    const { code, stderr } = await cli(["deploy", "--dry-run"], { cwd });
    assert.equal(code, 3);
    assert.match(stderr, /:1:24: the entry file main\.js does not exist[\s\S]*there is index\.js/);
  });

  it("shows the line that does not build: exit code 4", async () => {
    const cwd = freshDir();
    writeFileSync(join(cwd, "sandpiper.jsonc"), '{"name": "a"}');
    writeFileSync(join(cwd, "index.ts"), "import './missing.ts'");
    const { code, stdout, stderr } = await cli(["deploy", "--dry-run"], { cwd });
    assert.equal(code, 4);
    assert.equal(stdout, "");
    assert.match(stderr, /Could not resolve "\.\/missing\.ts"[\s\S]*index\.ts:1:7:\n[\s\S]*import '\.\/missing\.ts'/);
  });

  it("says which directory is none", async () => {
    const { code, stderr } = await cli(["deploy", "gone"], { cwd: freshDir() });
    assert.equal(code, 3);
    assert.match(stderr, /gone is no directory\nhint: .*sandpiper init gone/);
  });
});

describe("without a gateway", () => {
  it("commands end with exit code 7 and say what to do", async () => {
    for (const args of [["list"], ["info", "a"], ["invoke", "a"], ["logs", "a"], ["delete", "a", "--yes"]]) {
      const { code, stdout, stderr } = await cli(args, { cwd: base, env: nowhere });
      assert.equal(code, 7, stderr);
      assert.equal(stdout, "");
      assert.match(
        stderr,
        /cannot reach the gateway at http:\/\/127\.0\.0\.1:\d+: connection refused\nhint: .*npm start/,
      );
    }
  });

  it("errors are coloured only where that is wanted", async () => {
    const plain = await cli(["list"], { cwd: base, env: nowhere });
    assert.ok(plain.stderr.startsWith("error: "));
    const forced = await cli(["list"], { cwd: base, env: { ...nowhere, FORCE_COLOR: "1" } });
    assert.ok(forced.stderr.startsWith("\u001b[31merror:\u001b[39m "));
    const refused = await cli(["list"], { cwd: base, env: { ...nowhere, NO_COLOR: "1" } });
    assert.ok(refused.stderr.startsWith("error: "));
  });

  it("doctor still says what it sees, and that the gateway is not reached", async () => {
    const { code, stdout } = await cli(["doctor", "--json"], { cwd: base, env: nowhere });
    const { ok, sections } = JSON.parse(stdout);
    assert.equal(ok, false);
    assert.equal(code, 1);
    const checks = new Map(
      sections
        .flatMap(({ checks }: { checks: { name: string }[] }) => checks)
        .map((check: { name: string }) => [check.name, check]),
    );
    assert.partialDeepStrictEqual(checks.get("node"), { ok: true });
    assert.partialDeepStrictEqual(checks.get("gateway"), { ok: false });
    assert.partialDeepStrictEqual(checks.get("user"), { ok: process.getuid?.() === 0 });
  });
});

describe("the launcher", () => {
  /** Runs before the launcher and makes this Node say that it is another one. */
  const pretend = (version: string) => {
    const file = join(freshDir(), "pretend.mjs");
    const versions = `{ ...process.versions, node: ${JSON.stringify(version)} }`;
    writeFileSync(file, `Object.defineProperty(process, "versions", { value: ${versions} });`);
    return ["--import", file];
  };

  it("hands itself to the pinned Node: streams and exit code are the child's", async () => {
    const nodeArguments = pretend("20.0.0");
    const good = await cli(["schema"], { cwd: base, nodeArguments });
    assert.deepEqual([good.code, JSON.parse(good.stdout), good.stderr], [0, configJsonSchema(), ""]);
    assert.equal((await cli(["nope"], { cwd: base, nodeArguments })).code, 2);
  });

  it("passes signals on and ends as the child ends", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    after(() => server.close());
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    const env = { SANDPIPER_URL: `http://127.0.0.1:${port}`, SANDPIPER_API_KEY: "sp_a_b" };
    const child = startCli(["list"], { cwd: base, env, nodeArguments: pretend("22.0.0") });
    // The command waits for an answer that never comes.
    await new Promise((resolve) => server.once("connection", (socket) => socket.once("data", resolve)));
    const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve([code, signal])));
    child.kill("SIGTERM");
    assert.deepEqual(await ended, [130, null]);
  });

  it("says what is missing when Node is too old, or the pinned one is not installed", async () => {
    const old = await cli([], { cwd: base, nodeArguments: pretend("18.0.0") });
    assert.equal(old.code, 1);
    assert.match(old.stderr, /Node 20 or newer is needed/);
    const alone = join(freshDir(), "sandpiper.mjs");
    copyFileSync(SANDPIPER, alone);
    const missing = await cli([], { cwd: base, nodeArguments: [...pretend("20.0.0"), alone] });
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /npm install node-linux-(x64|arm64)@24/);
  });
});

it("the templates' configurations name every field with a default as it is", async () => {
  const cwd = freshDir();
  await cli(["init", "x"], { cwd });
  const { config } = await import("../../../functions/cli/config/config-file.ts").then(({ loadConfig }) =>
    loadConfig(join(cwd, "x"), cwd),
  );
  const { memoryMiB, timeoutMs } = functionConfigSchema.parse({ name: "x" });
  assert.partialDeepStrictEqual(config, { memoryMiB, timeoutMs });
});
