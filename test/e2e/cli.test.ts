/** The `sandpiper` command against a whole Sandpiper: gateway, worker, sandboxes. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { cli, SANDPIPER, startCli } from "../helpers/cli.ts";
import { eventually } from "../helpers/eventually.ts";
import { Platform } from "../helpers/platform.ts";
import { stretched } from "../helpers/slowness.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const base = tempDir();
const freshDir = () => mkdtempSync(join(base, "d-"));

let platform: Platform;
before(async () => {
  // Collections come when the tests ask for them.
  platform = await Platform.start({ env: { SANDPIPER_GC_INTERVAL_MS: "0" } });
});
after(() => platform.stop());

/** A function that shows what reached it and does what its path says. */
const PROBE = `
export default async (request: Request): Promise<Response> => {
  const url = new URL(request.url);
  const { pathname: path, search } = url;
  if (path === "/throw") throw new Error("thrown on purpose");
  if (path === "/spin") for (;;);
  if (path === "/status") return new Response("gone\\n", { status: 410 });
  if (path === "/binary") return new Response(new Uint8Array([0, 255, 10, 13, 128]));
  if (path === "/escape") return new Response("a\\u001b[31mb", { headers: { "content-type": "text/plain" } });
  if (path === "/log") console.log("first line\\n\\u001b[2Jsecond line");
  const headers = [["set-cookie", "a=1"], ["set-cookie", "b=2"]] as [string, string][];
  const type = request.headers.get("content-type");
  const body = [...new Uint8Array(await request.arrayBuffer())];
  return Response.json({ method: request.method, path, search, type, mode: request.headers.get("x-mode"), body }, { headers });
};
`;

describe("sandpiper init, deploy, info and curl", () => {
  it("take a new directory to an answer, with the URL alone on stdout", async () => {
    const cwd = freshDir();
    assert.equal((await platform.cli(["init", "hi"], { cwd })).code, 0);
    const deployed = await platform.cli(["deploy", "hi"], { cwd });
    assert.equal(deployed.code, 0, deployed.stderr);
    assert.match(deployed.stdout, /^http:\/\/hi\.main\.localhost:\d+\n$/);
    assert.match(deployed.stderr, /deployed hi: version [0-9a-f]{12}.*\nhandler: fetch\n/);
    assert.ok(deployed.stderr.endsWith(`also at ${platform.url}/fn/main/hi\n`), deployed.stderr);
    assert.match((await platform.cli(["info", "hi"], { cwd })).stdout, /^handler +fetch$/m);
    const { stdout: url } = await platform.cli(["info", "hi", "--url"], { cwd });
    assert.equal(url, deployed.stdout);
    const answer = await fetch(`${url.trim()}?name=Ada`);
    assert.deepEqual(await answer.json(), { message: "Hello, Ada!" });
    assert.match((await platform.cli(["deploy", "hi"], { cwd })).stderr, /updated hi/);
  });

  it("leave files of a deleted function behind, and gc says that they stay for now", async () => {
    const cwd = freshDir();
    await platform.cli(["init", "old"], { cwd });
    await platform.cli(["deploy", "old"], { cwd });
    await platform.cli(["init", "gone", "--template", "js"], { cwd });
    await platform.cli(["deploy", "gone"], { cwd });
    await platform.cli(["delete", "gone", "--yes"], { cwd });
    const dry = await platform.cli(["gc", "--dry-run"], { cwd });
    assert.deepEqual([dry.code, dry.stdout], [0, ""], dry.stderr);
    assert.match(
      dry.stderr,
      /^0 old versions would be removed, 0 files would be removed \(0 B\), [1-9]\d* files? would be set/,
    );
    const real = JSON.parse((await platform.cli(["gc", "--json"], { cwd })).stdout);
    assert.deepEqual([real.dryRun, real.versions, real.removed], [false, [], { files: 0, bytes: 0 }]);
    assert.ok(real.setAside.files > 0);
    const { stdout: url } = await platform.cli(["info", "old", "--url"], { cwd });
    assert.equal((await fetch(url.trim())).status, 200);
    assert.equal((await platform.cli(["deploy", "old"], { cwd })).code, 0);
  });

  for (const template of ["js", "lambda"]) {
    it(`work for the template ${template}`, async () => {
      const cwd = freshDir();
      await platform.cli(["init", template, "-t", template], { cwd });
      await platform.deploy(join(cwd, template));
      const { stdout, code } = await platform.cli(["invoke", template, "--path", "/?name=Ada"]);
      assert.deepEqual([code, JSON.parse(stdout)], [0, { message: "Hello, Ada!" }]);
    });
  }

  it("find the gateway by its connection file, and are refused with a wrong key: exit code 5", async () => {
    const cwd = freshDir();
    await platform.cli(["init", "."], { cwd });
    const wrong = "sp_0123456789abcdef_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const env = { SANDPIPER_URL: platform.url, SANDPIPER_API_KEY: wrong };
    const child = startCli(["deploy", "--json"], { cwd, env });
    const [code] = await once(child, "exit");
    assert.equal(code, 5);
  });
});

describe("sandpiper login, whoami, open, logout and what a shell completes", () => {
  before(() => platform.deployFiles("seen", PROBE));
  const XDG_CONFIG_HOME = freshDir();
  const profiles = join(XDG_CONFIG_HOME, "sandpiper", "profiles.json");
  const run = (args: string[], options: { input?: string; env?: Record<string, string> } = {}) =>
    cli(args, { cwd: freshDir(), ...options, env: { XDG_CONFIG_HOME, ...options.env } });

  it("keep a key that works for the commands that follow, where nobody else can read it", async () => {
    const url = ["--url", platform.url];
    const wrong = await run(["login", ...url], { input: "sp_0123456789abcdef_AAAA" });
    assert.deepEqual([wrong.code, existsSync(profiles)], [5, false]);
    const none = await run(["login", ...url], { input: "no key\n" });
    assert.deepEqual([none.code, existsSync(profiles)], [5, false]);
    assert.doesNotMatch(none.stderr, /no key/);
    const { code, stderr } = await run(["login", ...url], { input: `${platform.apiKey}\n` });
    assert.deepEqual([code, stderr], [0, `logged in to ${platform.url} as tenant main, profile default\n`]);
    assert.equal(statSync(profiles).mode & 0o777, 0o600);
    assert.match((await run(["list"])).stdout, /^seen /m);
  });

  it("ask for the key on a terminal, and show nothing of what is typed", async () => {
    const command = [process.execPath, SANDPIPER, "login", "typed", "--url", platform.url].join(" ");
    const env = { PATH: process.env.PATH, HOME: base, XDG_CONFIG_HOME: freshDir() };
    const child = spawn("script", ["--quiet", "--return", "--echo", "never", "--command", command, "/dev/null"], {
      env,
    });
    let shown = "";
    for await (const chunk of child.stdout) {
      if (shown.length === 0) child.stdin.write(`${platform.apiKey}\r`);
      shown += chunk;
      if (shown.includes("logged in")) break;
    }
    assert.match(shown, /^API key for http:\S+: \r\nlogged in to /);
  });

  it("say who that is, and complete names of functions with it", async () => {
    const facts = JSON.parse((await run(["whoami", "--json"])).stdout);
    assert.partialDeepStrictEqual(facts, { tenant: "main", gateway: platform.url });
    assert.ok(facts.source.includes(profiles), facts.source);
    assert.match(
      (await run(["whoami"])).stdout,
      /^tenant +main\nkey +[0-9a-f]+, an operator's\nscopes +admin\n(?:.*\n)*gateway +http/,
    );
    assert.equal((await run(["__complete", "info", "se"])).stdout, "seen\t\n");
  });

  it("open a function's URL by the program that BROWSER names", async () => {
    const [browser, opened] = [join(freshDir(), "browser"), join(freshDir(), "opened")];
    writeFileSync(browser, `#!/bin/sh\necho "$1" > ${opened}.new && mv ${opened}.new ${opened}\n`, { mode: 0o755 });
    const { code, stderr } = await run(["open", "seen"], { env: { BROWSER: browser } });
    assert.equal(code, 0, stderr);
    await eventually(() => existsSync(opened));
    assert.match(readFileSync(opened, "utf8"), /^http:\/\/seen\.main\.localhost:\d+\n$/);
    const missing = await run(["open", "seen", "--json"], { env: { BROWSER: "/nonexistent" } });
    assert.deepEqual([missing.code, JSON.parse(missing.stderr).error.code], [1, "NO_BROWSER"]);
  });

  it("forget it", async () => {
    const more = await run(["login", "second", "--url", platform.url], { input: platform.apiKey });
    assert.equal(more.code, 0, more.stderr);
    assert.equal((await run(["logout"])).stderr.split(";", 1)[0], "forgot the profile second");
    assert.equal((await run(["list", "--url", platform.url])).code, 0);
    assert.equal((await run(["list", "--profile", "second"])).code, 2);
    assert.equal((await run(["list", "--profile", "default"])).code, 0);
    assert.equal((await run(["logout", "default"])).code, 0);
    assert.deepEqual(JSON.parse(readFileSync(profiles, "utf8")), { current: null, profiles: {} });
    assert.equal((await run(["list", "--url", platform.url])).code, 5);
  });
});

describe("sandpiper invoke", () => {
  before(() => platform.deployFiles("probe", PROBE, { timeoutMs: stretched(2_000) }));

  const invoke = (args: string[], input?: string | Uint8Array) =>
    platform.cli(["invoke", "probe", ...args], input === undefined ? {} : { input });

  it("sends method, path, query, header fields and body as they are given", async () => {
    const args = ["-X", "put", "-p", "/a%2Fb?c=d", "-H", "x-mode: test", "-d", '{"a":1}'];
    const { code, stdout } = await invoke(args);
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout), {
      ...{ method: "PUT", path: "/a%2Fb", search: "?c=d", type: "application/json", mode: "test" },
      body: [...Buffer.from('{"a":1}')],
    });
  });

  it("takes the body from a file, from standard input, or has none", async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    const file = join(freshDir(), "body");
    writeFileSync(file, bytes);
    const fromFile = JSON.parse((await invoke(["--data-file", file])).stdout);
    assert.deepEqual([fromFile.method, fromFile.type, fromFile.body], ["POST", "application/octet-stream", [...bytes]]);
    assert.deepEqual(JSON.parse((await invoke(["--data", "-"], bytes)).stdout).body, [...bytes]);
    assert.deepEqual(JSON.parse((await invoke([])).stdout).method, "GET");
    const env = { ...process.env, SANDPIPER_URL: platform.url, SANDPIPER_API_KEY: platform.apiKey };
    const shell = `printf piped | "${process.execPath}" "${SANDPIPER}" invoke probe`;
    const { stdout } = await promisify(execFile)("sh", ["-c", shell], { env });
    assert.deepEqual(JSON.parse(stdout).body, [...Buffer.from("piped")]);
  });

  it("prints the body byte for byte, and the head when asked", async () => {
    const out = join(freshDir(), "out");
    const env = { ...process.env, SANDPIPER_URL: platform.url, SANDPIPER_API_KEY: platform.apiKey };
    const shell = `"${process.execPath}" "${SANDPIPER}" invoke probe -p /binary > "${out}"`;
    await promisify(execFile)("sh", ["-c", shell], { env });
    assert.deepEqual([...readFileSync(out)], [0, 255, 10, 13, 128]);
    const { stdout } = await invoke(["-i"]);
    assert.match(stdout, /^HTTP\/1\.1 200 OK\r\n[\s\S]*set-cookie: a=1\r\nset-cookie: b=2\r\n[\s\S]*\r\n\r\n\{/i);
  });

  it("escapes control characters on a terminal, unless --raw", async () => {
    const env = { ...process.env, SANDPIPER_URL: platform.url, SANDPIPER_API_KEY: platform.apiKey };
    const onTerminal = async (options: string) => {
      const command = `"${process.execPath}" "${SANDPIPER}" invoke probe ${options}`;
      const running = promisify(execFile)("script", ["-qec", command, "/dev/null"], { env });
      running.child.stdin?.end();
      return (await running).stdout;
    };
    assert.match(await onTerminal("-p /escape"), /a\\x1b\[31mb/);
    assert.ok((await onTerminal("-p /escape --raw")).includes("a\u001b[31mb"));
    assert.match(await onTerminal("-p /binary"), /5 bytes that are not text/);
  });

  it("ends with 8 when the function failed, and with 0 when it answered an error of its own", async () => {
    for (const [path, outcome] of [
      ["/throw", "function_error"],
      ["/spin", "timeout"],
    ] as const) {
      const { code, stderr } = await invoke(["-p", path]);
      assert.equal(code, 8);
      assert.match(stderr, new RegExp(`failed: ${outcome}, status 50[24] \\(invocation [0-9a-f-]{36}\\)`));
    }
    const { code, stdout, stderr } = await invoke(["-p", "/status"]);
    assert.deepEqual([code, stdout], [0, "gone\n"]);
    assert.match(stderr, /the function answered with status 410/);
  });

  it("shows the log of the call and how it ended, with nothing for the terminal to obey", async () => {
    const { code, stderr } = await invoke(["-p", "/log", "--logs"]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /info {2}console {2}first line\n +\\x1b\[2Jsecond line\n/);
    assert.match(stderr, /end +ok \((cold|prewarmed|warm) start, [\d.]+ ms, cpu [\d.]+ ms, peak [\d.]+ MiB\)/);
    assert.match(
      (await invoke(["-p", "/throw", "--logs"])).stderr,
      /thrown on purpose[\s\S]*index\.ts:5[\s\S]*function_error/,
    );
  });

  it("shows the trace of the call as a waterfall, without any collector", async () => {
    const { code, stderr } = await invoke(["--trace"]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^trace [0-9a-f]{32}$/m);
    for (const name of ["gateway", "enqueue", "queue", "bundle", "acquire", "load", "handler", "respond"]) {
      if (name === "load") continue; // Only the first call of an instance has it.
      assert.match(stderr, new RegExp(`^ *${name}!? +[█·]+ +[\\d.]+ ms$`, "m"), stderr);
    }
    assert.ok(stderr.split("\n").every((line) => line.length <= 80));
  });

  it("gives all of it as one JSON document", async () => {
    const { code, stdout, stderr } = await invoke(["-p", "/log", "--json", "--logs", "--trace"]);
    assert.equal(code, 0, stderr);
    const { status, outcome, body, logs, trace, invocationId } = JSON.parse(stdout);
    assert.deepEqual([status, outcome, JSON.parse(body).path], [200, "ok", "/log"]);
    assert.equal(logs.at(-1).end.id, invocationId);
    assert.ok(trace.spans.every((span: { traceId: string }) => span.traceId === trace.traceId));
  });
});

describe("sandpiper deploy", () => {
  it("shows a build error of the CLI's own and ends with 4", async () => {
    const cwd = freshDir();
    writeFileSync(join(cwd, "sandpiper.jsonc"), '{"name": "broken"}');
    writeFileSync(join(cwd, "index.ts"), "export default () => {");
    const { code, stdout, stderr } = await platform.cli(["deploy"], { cwd });
    assert.deepEqual([code, stdout], [4, ""]);
    assert.match(stderr, /index\.ts:1:22:/);
  });

  it("shows a build error of the worker's and ends with 4", async () => {
    // A link that is reached by an entry of "imports" is one of which the CLI makes no stand-in:
    // only here it resolves.
    const cwd = freshDir();
    writeFileSync(join(cwd, "sandpiper.jsonc"), '{"name": "broken"}');
    writeFileSync(join(cwd, "package.json"), '{"imports": {"#linked": "linked"}}');
    writeFileSync(join(cwd, "index.ts"), "import '#linked';\nexport default () => new Response();");
    mkdirSync(join(cwd, "lib"));
    mkdirSync(join(cwd, "node_modules"));
    writeFileSync(join(cwd, "lib/index.js"), "console.log(1)");
    symlinkSync("../lib", join(cwd, "node_modules/linked"));
    const { code, stdout, stderr } = await platform.cli(["deploy", "--json"], { cwd });
    assert.deepEqual([code, stdout], [4, ""]);
    const { error } = JSON.parse(stderr);
    assert.equal(error.code, "BUILD_FAILED");
    assert.match(error.message, /index\.ts:1:7:[\s\S]*import '#linked'/);
  });

  it("shows why a version does not load, ends with 4, and leaves live what was", async () => {
    const cwd = freshDir();
    writeFileSync(join(cwd, "sandpiper.jsonc"), '{"name": "loads"}');
    const deploy = (source: string, ...args: string[]) => {
      writeFileSync(join(cwd, "index.ts"), source);
      return platform.cli(["deploy", ...args], { cwd });
    };
    const broken = `console.log("\\x1b[2Jbefore");\nthrow new Error("at the top");`;
    const first = await deploy(broken);
    assert.deepEqual([first.code, first.stdout], [4, ""]);
    assert.match(first.stderr, /Error: at the top\n\s+at Object\.<anonymous> \(index\.ts:2:7\)\n/);
    assert.match(first.stderr, /It had logged:\n {2}\\x1b\[2Jbefore\n/);
    assert.equal((await platform.cli(["info", "loads"])).code, 6);

    const { stdout: url } = await deploy("export const hello = async () => 'one';");
    const second = await deploy(broken, "--json");
    assert.deepEqual([second.code, JSON.parse(second.stderr).error.code], [4, "CHECK_FAILED"]);
    assert.equal(await (await fetch(url.trim())).text(), "one");
    assert.match((await platform.cli(["info", "loads"])).stdout, /^handler +lambda \(hello\)$/m);

    const unchecked = await deploy(broken, "--no-check");
    assert.equal(unchecked.code, 0);
    assert.doesNotMatch(unchecked.stderr, /handler:/);
    assert.equal((await fetch(url.trim())).status, 502);
  });

  it("says which exports nothing here calls", async () => {
    const cwd = freshDir();
    writeFileSync(join(cwd, "sandpiper.jsonc"), '{"name": "timed"}');
    writeFileSync(join(cwd, "index.ts"), "export default { fetch: () => new Response(), scheduled() {} };");
    const { code, stderr } = await platform.cli(["deploy"], { cwd });
    assert.equal(code, 0);
    assert.match(stderr, /^warning: The export scheduled is not wired yet/m);
  });

  it("shows a warning of the bundler once", async () => {
    const cwd = freshDir();
    writeFileSync(join(cwd, "sandpiper.jsonc"), '{"name": "warned"}');
    writeFileSync(join(cwd, "index.ts"), "export default (r: unknown) => new Response(String(typeof r === 'nul'));");
    const { code, stderr } = await platform.cli(["deploy"], { cwd });
    assert.equal(code, 0);
    assert.equal(stderr.match(/"typeof" operator will never/g)?.length, 1, stderr);
    const { warnings } = JSON.parse((await platform.cli(["deploy", "--json"], { cwd })).stdout) as {
      warnings: string[];
    };
    assert.equal(warnings.length, 1, "a deployment that changed nothing told less");
    assert.match((await platform.cli(["info", "warned"])).stdout, /^warning +▲ \[WARNING\] The "typeof" operator/m);
  });
});

describe("sandpiper list, info, logs and delete", () => {
  before(() => platform.deployFiles("kept", PROBE, { env: { TOKEN: "secret-value" } }));

  it("show what is deployed, and no value of its environment", async () => {
    const list = await platform.cli(["list"]);
    assert.match(list.stdout, /^kept +[0-9a-f]{12} +128 MiB +10000 ms .* http:\/\/kept\.main\.localhost:\d+$/m);
    const info = await platform.cli(["info", "kept"]);
    assert.match(info.stdout, /^url +http:\/\/kept\.main\.localhost:\d+\nalso at +http:\S+\/fn\/main\/kept$/m);
    assert.match(info.stdout, /^env +TOKEN$/m);
    assert.match(info.stdout, /^isolation +instance$/m);
    const json = await platform.cli(["info", "kept", "--json"]);
    assert.equal(JSON.parse(json.stdout).name, "kept");
    for (const { stdout } of [list, info, json]) assert.doesNotMatch(stdout, /secret-value/);
  });

  it("say why calls of a function have no copy of its module", async () => {
    const config = { isolation: "invocation" } as const;
    await platform.deployFiles("copied", PROBE, config);
    await platform.deployFiles("open", `setInterval(() => {}, 1000);\n${PROBE}`, config);
    for (const name of ["copied", "open"]) await platform.cli(["invoke", name]);
    assert.match((await platform.cli(["info", "copied"])).stdout, /^isolation +invocation$/m);
    const why =
      /^isolation +invocation, by loading it for each call, because the module keeps something open: Timeout$/m;
    assert.match((await platform.cli(["info", "open"])).stdout, why);
  });

  it("follow the log until Ctrl-C, which is no failure", async () => {
    const env = { SANDPIPER_URL: platform.url, SANDPIPER_API_KEY: platform.apiKey };
    await platform.cli(["invoke", "kept", "-p", "/log", "--logs"]);
    const child = startCli(["logs", "kept", "-f", "--json"], { cwd: base, env });
    assert.ok(child.stdout);
    const ended = once(child, "exit");
    let ends = 0;
    for await (const line of createInterface(child.stdout)) {
      if (!line.includes('"end"')) continue;
      // The first end is of the call before; the second call is made while the log is followed.
      if (++ends === 1) await platform.cli(["invoke", "kept", "-p", "/log"]);
      else child.kill("SIGINT");
    }
    assert.equal(ends, 2);
    assert.deepEqual(await ended, [0, null]);
  });

  it("show one call by its request id", async () => {
    const { stdout } = await platform.cli(["invoke", "kept", "-p", "/throw", "--json"]);
    const { invocationId } = JSON.parse(stdout);
    await platform.cli(["invoke", "kept", "-p", "/log", "--logs"]);
    const shown = await platform.cli(["calls", "show", invocationId]);
    assert.match(shown.stdout, /^function +main\/kept$/m);
    assert.match(shown.stdout, /^outcome +function_error$/m);
    assert.match(shown.stdout, /^error +FUNCTION_ERROR: /m);
    assert.match(shown.stdout, /^ran +yes$/m);
    const json = await platform.cli(["calls", "show", invocationId, "--json"]);
    assert.equal(JSON.parse(json.stdout).id, invocationId);
    const none = await platform.cli(["calls", "show", invocationId.replaceAll(/\d/g, "0")]);
    assert.deepEqual([none.code, /no record of that invocation/.test(none.stderr)], [6, true]);
  });

  it("filter the log", async () => {
    const { stdout } = await platform.cli(["invoke", "kept", "-p", "/log", "--json", "--logs"]);
    const { invocationId } = JSON.parse(stdout);
    const one = await platform.cli(["logs", "kept", "--invocation", invocationId, "--since", "1h", "--json"]);
    const lines = one.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.ok(lines.length >= 2);
    assert.ok(lines.every((line) => (line.end?.id ?? line.invocationId) === invocationId));
  });

  it("say that a function is not there: exit code 6", async () => {
    const results = [
      ["info", "none"],
      ["invoke", "none"],
      ["logs", "none"],
      ["delete", "none", "--yes"],
    ];
    for (const args of results) {
      const { code, stderr } = await platform.cli(args);
      assert.equal(code, 6, stderr);
      assert.match(stderr, /hint: `sandpiper list`/);
    }
  });

  it("delete only when told to, without a terminal", async () => {
    const refused = await platform.cli(["delete", "kept"]);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /needs --yes/);
    assert.equal((await platform.cli(["delete", "kept", "--yes"])).code, 0);
    assert.equal((await platform.cli(["info", "kept"])).code, 6);
  });
});

describe("sandpiper doctor", () => {
  it("sees the gateway, the key and the machine's isolation", async () => {
    const { stdout } = await platform.cli(["doctor", "--json"]);
    const { sections } = JSON.parse(stdout) as {
      sections: { title: string; checks: { name: string; ok: boolean; sandboxes?: number }[] }[];
    };
    const checks = (title: string) => sections.find((section) => section.title === title)?.checks ?? [];
    assert.deepEqual(
      checks("gateway").map(({ name, ok }) => [name, ok]),
      [
        ["gateway", true],
        ["api key", true],
      ],
    );
    assert.ok(checks("isolation").length > 5);
    const limits = checks("isolation").filter(({ name }) => name.startsWith("sandboxes by "));
    assert.ok(limits.length > 5 && limits.every(({ sandboxes = 0 }) => sandboxes > 0), JSON.stringify(limits));
  });

  it("attests a sandbox, for people and for programs", async () => {
    const { code, stdout } = await platform.cli(["doctor", "--attest"]);
    assert.equal(code, 0);
    for (const line of [/^walls$/m, /seccomp +stands$/m, /^posture$/m, /capabilities +\{"CapInh":"0{16}"/])
      assert.match(stdout, line);
    const { ok, walls, posture } = JSON.parse((await platform.cli(["doctor", "--attest", "--json"])).stdout);
    assert.equal(ok, true);
    assert.ok(walls.length > 15 && posture.mounts.length > 0);
  });
});
