/**
 * The isolation "invocation": each call has a fork of a template, and finds nothing of any call
 * before it.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { NATIVE_FLAGS } from "../../helpers/native-module.ts";
import { callText, type FunctionOptions, TestPool } from "../../helpers/pool.ts";
import { stretched } from "../../helpers/slowness.ts";

const CALLS = 400;

/**
 * Draws from every source of randomness at its top level, so that the template holds what Node
 * keeps of it.
 */
const LEAVES_TRACES = `
  import * as fs from "node:fs";
  import * as crypto from "node:crypto";
  const early = [crypto.randomUUID(), crypto.randomInt(2 ** 40), crypto.randomUUIDv7?.(), Math.random()];
  const loaded = crypto.randomUUID();
  const seen = [];
  const found = () => ({
    globals: [seen.length, Object.keys(globalThis.left ?? {}).length, process.env.LEFT, process.cwd()],
    files: fs.readdirSync("/tmp"),
    times: [fs.statSync("/tmp").mtimeMs],
    processes: fs.readdirSync("/proc").filter((name) => /^\\d+$/.test(name) && name !== String(process.pid)),
    active: process.getActiveResourcesInfo().filter((name) => name !== "PipeWrap"),
  });
  const random = () => [
    Math.random(), crypto.randomUUID(), crypto.randomBytes(8).toString("hex"), crypto.randomInt(2 ** 47),
    Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString("hex"), crypto.webcrypto.randomUUID(),
    Math.random(), fs.mkdtempSync("/tmp/x"),
  ].map(String);
  export default async (request) => {
    const before = found();
    const drawn = random();
    const sent = new URL(request.url).search.slice(1);
    seen.push(sent);
    globalThis.left = { sent };
    process.env.LEFT = sent;
    process.chdir("/tmp");
    fs.writeFileSync("/tmp/left", sent);
    setInterval(() => fs.appendFileSync("/tmp/left", sent), 1);
    return Response.json({ loaded, sent, before, drawn });
  };`;

interface Answer {
  loaded: string;
  sent: string;
  before: unknown;
  drawn: string[];
}

let pool: TestPool;
before(() => {
  pool = new TestPool({ zygoteFlags: NATIVE_FLAGS });
});
after(() => pool.close());

let versions = 0;

/** A function under this isolation: gives what calls it. */
function deployed(code: string, options: FunctionOptions = {}) {
  const version = `template-${++versions}`;
  return async (path = "/"): Promise<string> => {
    const lease = await pool.acquire({ code, version, isolation: "invocation", ...options });
    try {
      return await callText(lease, path);
    } finally {
      lease.release();
    }
  };
}

/** A function that does this when it is asked for /bad, and tells what it finds otherwise. */
function attackable(bad: string, options: FunctionOptions = {}) {
  return deployed(
    `import * as fs from "node:fs";
    const id = crypto.randomUUID();
    const forever = () => native.poll(Buffer.alloc(0), 0, -1);
    export default async (request) => {
      if (new URL(request.url).pathname === "/bad") { ${bad} }
      const processes = fs.readdirSync("/proc").filter((name) => /^\\d+$/.test(name)).length;
      return Response.json({ id, sent: new URL(request.url).search.slice(1), files: fs.readdirSync("/tmp"), processes });
    };`,
    options,
  );
}

it(`of ${CALLS} calls none sees anything of another`, async () => {
  const call = deployed(LEAVES_TRACES);
  const answers: Answer[] = [];
  for (let made = 0; made < CALLS; made++) answers.push(JSON.parse(await call(`/?secret-${made}`)) as Answer);
  const nothing = { globals: [0, 0, null, "/function"], files: [], times: [0], processes: [], active: [] };
  for (const [index, { sent, before }] of answers.entries()) {
    assert.equal(sent, `secret-${index}`);
    assert.deepEqual(before, nothing);
  }
  const drawn = answers.flatMap((answer) => answer.drawn);
  assert.equal(new Set(drawn).size, drawn.length);
  assert.equal(new Set(answers.map(({ loaded }) => loaded)).size, 1, "the module was loaded once");
});

it("calls at once are answered, each with its own", async () => {
  const call = deployed(LEAVES_TRACES);
  const secrets = Array.from({ length: 40 }, () => randomBytes(8).toString("hex"));
  const answers = await Promise.all(secrets.map(async (secret) => JSON.parse(await call(`/?${secret}`)) as Answer));
  assert.deepEqual(
    answers.map(({ sent }) => sent),
    secrets,
  );
});

describe("whatever a call leaves, the next is served by the same template and finds nothing", () => {
  const CASES: [what: string, does: string][] = [
    [
      "a daemon that ignores every signal and reads the wire",
      `if (native.fork() === 0) {
        if (native.fork() !== 0) native.kill(process.pid, 9);
        for (let signal = 1; signal < 32; signal++) try { native.signal(signal, 1); } catch {}
        const bytes = Buffer.alloc(64);
        for (;;) try { native.poll(Buffer.from([3, 0, 0, 0, 1, 0, 0, 0]), 1, 1000); native.read(3, bytes, 64); } catch {}
      }`,
    ],
    ["many processes", `for (let made = 0; made < 12; made++) if (native.fork() === 0) forever();`],
    ["a process that stopped", `if (native.fork() === 0) { native.kill(process.pid, 19); forever(); }`],
    ["signals to its template", `for (let signal = 1; signal < 65; signal++) try { native.kill(1, signal); } catch {}`],
    [
      "files, links and directories",
      `fs.mkdirSync("/tmp/a/b/c", { recursive: true }); fs.writeFileSync("/tmp/a/b/c/d", "x");
      fs.symlinkSync("/", "/tmp/root"); fs.symlinkSync("/proc/1/root", "/tmp/a/root"); fs.linkSync("/tmp/a/b/c/d", "/tmp/e");
      fs.writeFileSync(Buffer.from([47, 116, 109, 112, 47, 255, 10]), "x"); fs.chmodSync("/tmp/a/b", 0);`,
    ],
    ["some megabytes", `fs.writeFileSync("/tmp/x", Buffer.alloc(15 << 20)); fs.writeFileSync("/tmp/y", "");`],
    ["a file that has no name any more", `fs.openSync("/tmp/x", "w+"); fs.unlinkSync("/tmp/x");`],
    ["a server", `await new Promise((done) => require("node:net").createServer().listen(1234, done));`],
    ["timers that keep it", `setInterval(() => {}, 1); void (async () => { for (;;) await 1; });`],
    ["descriptors", `try { for (;;) native.socketpair(); } catch { return new Response(""); }`],
    [
      "its own sockets in another mode, and closed output",
      `native.fcntl(3, 4, 0); native.fcntl(1, 4, 2048); native.close(1); native.close(2);`,
    ],
  ];
  for (const [what, does] of CASES)
    it(what, async () => {
      const call = attackable(does);
      const { id } = JSON.parse(await call("/?first"));
      await call("/bad");
      const next = JSON.parse(await call("/?second"));
      assert.deepEqual(next, { id, sent: "second", files: [], processes: 1 });
    });
});

describe("what a call leaves that takes too long to clear away costs its sandbox", () => {
  const CASES: [what: string, does: string][] = [
    ["many files", `for (let made = 0; made < 4000; made++) fs.writeFileSync("/tmp/" + made, "");`],
    [
      "a full /tmp",
      `try { const fd = fs.openSync("full", "w"); for (;;) fs.writeSync(fd, Buffer.alloc(1 << 20)); } catch {}`,
    ],
    ["a hundred directories", `for (let made = 0; made < 100; made++) fs.mkdirSync(String(made));`],
    [
      "a hundred links to one file",
      `fs.writeFileSync("x", ""); for (let made = 0; made < 99; made++) fs.linkSync("x", "x" + made);`,
    ],
    ["a deep tree", `for (let depth = 0; depth < 1000; depth++) { fs.mkdirSync("d"); process.chdir("d"); }`],
  ];
  for (const [what, does] of CASES)
    it(what, async () => {
      const call = attackable(`process.chdir("/tmp"); ${does}`);
      const { id } = JSON.parse(await call("/?first"));
      await call("/bad");
      const next = JSON.parse(await call("/?second"));
      assert.notEqual(next.id, id);
      assert.deepEqual({ ...next, id }, { id, sent: "second", files: [], processes: 1 });
    });
});

describe("a fork cannot reach its template", () => {
  const PTRACE = process.arch === "x64" ? 101 : 117;
  const READV = process.arch === "x64" ? 310 : 270;
  const CASES: [what: string, does: string, expected: string][] = [
    ["sees nothing of it in /proc", `fs.readdirSync("/proc/1")`, "ENOENT"],
    ["reads none of its memory", `fs.openSync("/proc/1/mem", "r")`, "ENOENT"],
    ["writes none of its memory", `fs.openSync("/proc/1/mem", "r+")`, "ENOENT"],
    ["does not trace it", `native.syscall("ptrace", ${PTRACE}, 16, 1, 0, 0)`, "EPERM"],
    ["does not read it by a call", `native.syscall("process_vm_readv", ${READV}, 1, 0, 0, 0, 0)`, "EPERM"],
    ["cannot kill it", `(native.kill(1, 9), native.kill(1, 19), fs.readdirSync("/none"))`, "ENOENT"],
  ];
  for (const [what, does, expected] of CASES)
    it(what, async () => {
      const call = attackable(
        `try { ${does}; return new Response("done"); } catch (e) { return new Response(e.code); }`,
      );
      const { id } = JSON.parse(await call());
      assert.equal(await call("/bad"), expected);
      assert.equal(JSON.parse(await call()).id, id);
    });

  it("has no descriptor that another fork had, but what is nobody's", async () => {
    const call = attackable(`
      const inodes = [0, 1, 2, 3].map((fd) => fs.fstatSync(fd)).map(({ dev, ino }) => dev + ":" + ino);
      const open = fs.readdirSync("/proc/self/fd").map((fd) => { try { return fs.readlinkSync("/proc/self/fd/" + fd); } catch { return ""; } });
      return Response.json({ inodes, sockets: open.filter((target) => target.startsWith("socket:")) });`);
    const [one, other] = [JSON.parse(await call("/bad")), JSON.parse(await call("/bad"))];
    assert.equal(one.inodes[0], other.inodes[0], "/dev/null");
    assert.equal(new Set(one.sockets).size, 2);
    assert.deepEqual(
      one.sockets.filter((socket: string) => other.sockets.includes(socket)),
      [],
    );
  });
});

it("signals to its template leave the handlers of the calls after them as they were", async () => {
  const call = deployed(`
    import * as fs from "node:fs";
    const { instance } = await WebAssembly.instantiate(Uint8Array.of(
      0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f, 3, 2, 1, 0, 5, 3, 1, 0, 1,
      7, 5, 1, 1, 0x66, 0, 0, 10, 9, 1, 7, 0, 0x20, 0, 0x28, 2, 0, 0x0b));
    const id = crypto.randomUUID();
    export default (request) => {
      const signals = fs.readFileSync("/proc/self/status", "utf8").match(/^Sig.*$/gm);
      let trap = "none";
      // The first handler of Node's is for SIGINT, and V8's is for SIGSEGV, by which WebAssembly
      // finds the end of its memory.
      try { instance.exports.f(0x7ffffff0); } catch (error) { trap = error.message; }
      if (new URL(request.url).pathname === "/bad")
        for (let round = 0; round < 2; round++)
          for (let signal = 1; signal < 65; signal++) try { native.kill(1, signal); } catch {}
      return Response.json({ id, signals, trap });
    };`);
  const before = JSON.parse(await call());
  assert.equal(before.trap, "memory access out of bounds");
  await call("/bad");
  assert.deepEqual(JSON.parse(await call()), before);
});

describe("a call that ends badly has the outcome that it has elsewhere, and the next one works", () => {
  const CASES: { what: string; does: string; code: string; keeps?: boolean; timeoutMs?: number }[] = [
    { what: "exits", does: "process.exit(3);", code: "FUNCTION_EXITED", keeps: true },
    { what: "aborts", does: "process.abort();", code: "KILLED", keeps: true },
    { what: "kills itself", does: "process.kill(process.pid, 'SIGKILL');", code: "KILLED", keeps: true },
    { what: "never ends", does: "for (;;);", code: "TIMEOUT", timeoutMs: stretched(300) },
    { what: "stops itself", does: "native.kill(process.pid, 19);", code: "TIMEOUT", timeoutMs: stretched(300) },
    {
      what: "keeps too many objects",
      does: "const kept = []; for (;;) kept.push(new Array(1000).fill({}));",
      code: "OUT_OF_MEMORY",
    },
    {
      what: "keeps too many bytes",
      does: "const kept = []; for (;;) kept.push(Buffer.alloc(1 << 20, 1));",
      code: "OUT_OF_MEMORY",
    },
    { what: "closes its wire and lives on", does: "native.close(3); forever();", code: "KILLED" },
  ];
  for (const { what, does, code, keeps, timeoutMs = stretched(20_000) } of CASES)
    it(what, async () => {
      const call = attackable(does, { timeoutMs });
      const { id } = JSON.parse(await call());
      await assert.rejects(call("/bad"), (error: Error & { code?: string }) => error.code === code);
      const next = JSON.parse(await call("/?next"));
      assert.equal(next.sent, "next");
      if (keeps) assert.equal(next.id, id, "its template serves on");
    });

  it("aborts after a call in which a process had needed too much memory, and is not blamed for that", async () => {
    const call = attackable(`
      if (new URL(request.url).search === "?abort") process.abort();
      if (native.fork() === 0) { const kept = []; for (;;) kept.push(Buffer.alloc(1 << 20, 1)); }
      native.signal(17, 0);
      native.waitpid(-1, Buffer.alloc(4), 0);`);
    // Version 2 of control groups ends all of the sandbox for that.
    await call("/bad").catch(() => {});
    await assert.rejects(call("/bad?abort"), (error: Error & { code?: string }) => error.code === "KILLED");
  });

  it("throws, then and later", async () => {
    const call = attackable(`setTimeout(() => { throw new Error("later"); }, 1); throw new Error("now");`);
    const { id } = JSON.parse(await call());
    await assert.rejects(call("/bad"), /now/);
    assert.equal(JSON.parse(await call()).id, id);
  });
});

describe("a version that cannot be forked is loaded for each call, and says why", () => {
  const CASES: [what: string, code: string, noTemplateReason: RegExp][] = [
    ["a timer", "setInterval(() => {}, 1000);", /keeps something open: Timeout/],
    ["a server", `require("node:net").createServer().listen(0);`, /keeps something open: TCPServerWrap/],
    ["an open file", `fs.openSync("/etc/passwd");`, /keeps files or sockets open: \/etc\/passwd/],
    ["a file in /tmp", `fs.writeFileSync("/tmp/x", "");`, /wrote files to \/tmp/],
    ["a process", "if (native.fork() === 0) for (;;) native.poll(Buffer.alloc(0), 0, -1);", /started processes/],
    [
      "a thread",
      `new (require("node:worker_threads").Worker)("setInterval(() => {}, 1000)", { eval: true }).unref();`,
      /^the module has threads of its own$/,
    ],
  ];
  for (const [what, does, noTemplateReason] of CASES)
    it(what, async () => {
      const code = `import * as fs from "node:fs"; ${does} let calls = 0; const id = crypto.randomUUID();
        export default () => Response.json({ id, calls: ++calls });`;
      const version = `obstacle-${what}`;
      const ids = new Set<string>();
      for (let call = 0; call < 2; call++) {
        const lease = await pool.acquire({ code, version, isolation: "invocation" });
        assert.match(lease.instance.noTemplateReason ?? "none", noTemplateReason);
        const { id, calls } = JSON.parse(await callText(lease));
        lease.release();
        assert.equal(calls, 1);
        ids.add(id);
      }
      assert.equal(ids.size, 2);
    });

  it("but not one that used the thread pool, compiled WebAssembly or handled what is over", async () => {
    const call = deployed(`
      import * as fs from "node:fs/promises";
      import * as zlib from "node:zlib";
      import { promisify } from "node:util";
      await promisify(zlib.gzip)(await fs.readFile("/etc/passwd"));
      await WebAssembly.instantiate(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
      await new Promise((done) => setTimeout(done, 5));
      const id = crypto.randomUUID();
      export default async () => {
        const count = ++new Int32Array(memory.buffer)[0];
        await promisify(zlib.gzip)(await fs.readFile("/etc/passwd"));
        return Response.json({ id, count });
      };`);
    assert.equal(await call(), await call());
  });
});

it("a call's processor time is its own", async () => {
  const code = `export default (request) => {
    const until = process.cpuUsage().user + (new URL(request.url).pathname === "/long" ? 200_000 : 0);
    while (process.cpuUsage().user < until);
    return new Response("done");
  };`;
  const usage = async (path: string) => {
    const lease = await pool.acquire({ code, version: "usage", isolation: "invocation" });
    await callText(lease, path);
    lease.release();
    return lease.instance;
  };
  await usage("/long");
  const instance = await usage("/short");
  assert.ok(instance.usage().cpuMs < 190, `${instance.usage().cpuMs} ms`);
});

it("leaves no descriptor in the worker", async () => {
  const call = attackable("");
  await call();
  const open = () => readdirSync("/proc/self/fd").length;
  const before = open();
  for (let made = 0; made < 40; made++) await call();
  assert.ok(open() - before < 20, `${open() - before} more`);
});
