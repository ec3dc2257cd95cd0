/**
 * Functions that are servers: the same walls around them, nobody who reaches their ports from
 * outside, and nothing that they answer does harm.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { openTestLauncher, SandboxClient } from "../helpers/sandbox-client.ts";
import { stretched } from "../helpers/slowness.ts";
import { type Answered, TestWorker } from "../helpers/worker.ts";
import { ATTEMPTS } from "./attempts.ts";
import { readSandbox } from "./posture/stages.ts";
import type { TaskPosture } from "./posture/task.ts";

type Walls = TaskPosture & { fd: Record<string, string> };

const SERVER = (listener: string) => `
  import { createServer } from "node:http";
  import * as fs from "node:fs";
  import * as net from "node:net";
  import * as os from "node:os";
  import * as childProcess from "node:child_process";
  import { once } from "node:events";
  createServer(async (req, res) => { ${listener} }).listen(process.env.PORT);`;

/** At the path of its number, the JSON of an attempt's result, or of its error. */
const ATTEMPTING = SERVER(`
  const attempts = [${ATTEMPTS.map(([, expression]) => `async () => (${expression})`)}];
  try { res.end(JSON.stringify(await attempts[req.url.slice(1)]() ?? null)); }
  catch (e) { res.end(JSON.stringify({ error: e.code ?? e.message })); }`);
const HI = SERVER("res.end('hi')");

describe("a server in a sandbox", () => {
  let launcher: ZygoteLauncher;
  before(async () => {
    launcher = await openTestLauncher();
  });
  after(() => launcher.close());

  it("finds the walls that other functions find", async () => {
    await using client = await SandboxClient.with(launcher, ATTEMPTING);
    for (const [index, [what, , expected]] of ATTEMPTS.entries()) {
      assert.deepEqual(JSON.parse(await client.text({ path: `/${index}` })), expected, what);
    }
  });

  it("looks from outside like any other sandbox, but for its sockets", async () => {
    const posture = async (code: string) => {
      await using client = await SandboxClient.with(launcher, code);
      await client.text();
      return readSandbox(client.sandbox, await launcher.zygotePid())["the first task"];
    };
    const [server, other] = (await Promise.all([HI, "export default () => 'hi'"].map(posture))) as [Walls, Walls];
    assert.deepEqual({ ...server, fd: null }, { ...other, fd: null });
    const known = Object.values(other.fd);
    const more = Object.values(server.fd).filter((target) => !known.includes(target));
    assert.ok(more.length > 0 && more.every((target) => target.startsWith("socket ")), more.join());
  });

  it("is not reached from the host or from another sandbox, and does not take a port from either", async () => {
    await using one = await SandboxClient.with(launcher, HI);
    await using other = await SandboxClient.with(launcher, HI);
    assert.deepEqual([await one.text(), await other.text()], ["hi", "hi"]);
    const port = Number(await SandboxClient.evaluate(launcher, "process.env.PORT"));
    const tried = `once(net.connect(${port}, "127.0.0.1"), "connect")`;
    assert.deepEqual(await SandboxClient.evaluate(launcher, tried), { error: "ECONNREFUSED" });
    // In the host's table of sockets there is none of a sandbox's user.
    const listening = ["tcp", "tcp6"].flatMap((file) => readFileSync(`/proc/net/${file}`, "utf8").split("\n"));
    const owners = listening.map((line) => line.trim().split(/\s+/)[7]);
    assert.ok(!owners.includes(String(one.sandbox.hostUid)) && !owners.includes(String(other.sandbox.hostUid)));
    for (const host of ["127.0.0.1", "::1"]) {
      const socket = connect(port, host);
      const [error] = (await once(socket, "error").catch((caught) => [caught])) as [{ code?: string }];
      assert.match(error?.code ?? "", /^(ECONNREFUSED|EADDRNOTAVAIL)$/);
    }
  });
});

interface Case {
  name: string;
  /** What the server does when it is asked for /bad, with a socket that was not read yet. */
  bad: string;
  outcome: Answered["outcome"];
  code: string;
}

const LIMIT_MS = stretched(300);
const CASES: Case[] = [
  { name: "never answers", bad: "", outcome: "timeout", code: "TIMEOUT" },
  { name: "hangs up", bad: "req.socket.destroy()", outcome: "function_error", code: "FUNCTION_ERROR" },
  {
    name: "answers with garbage",
    bad: "req.socket.end(Buffer.alloc(1 << 20, 0))",
    outcome: "function_error",
    code: "FUNCTION_ERROR",
  },
  {
    name: "answers with a head that does not end",
    bad: "req.socket.write('HTTP/1.1 200 OK\\r\\nx: '); for (let n = 0; n < 300; n++) req.socket.write('y'.repeat(1024))",
    outcome: "function_error",
    code: "FUNCTION_ERROR",
  },
  {
    name: "answers with interim answers for ever",
    bad: "const more = () => { if (!req.socket.destroyed) req.socket.write('HTTP/1.1 100 Continue\\r\\n\\r\\n', more) }; more()",
    outcome: "timeout",
    code: "TIMEOUT",
  },
  {
    name: "answers with fields without number",
    bad: "req.socket.write('HTTP/1.1 200 OK\\r\\n' + 'x: y\\r\\n'.repeat(10_000) + 'content-length: 0\\r\\n\\r\\n')",
    outcome: "function_error",
    code: "FUNCTION_ERROR",
  },
  {
    name: "answers without end",
    bad: "const more = () => { if (!res.destroyed) res.write(Buffer.alloc(256 * 1024), more) }; more()",
    outcome: "function_error",
    code: "REPLY_TOO_LARGE",
  },
  {
    name: "answers with trailers without end",
    bad: "const more = () => { if (!req.socket.destroyed) req.socket.write('x: y\\r\\n', more) }; req.socket.write('HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n0\\r\\n'); more()",
    outcome: "timeout",
    code: "TIMEOUT",
  },
  {
    name: "switches to a protocol of its own",
    bad: "req.socket.write('HTTP/1.1 101 Switching Protocols\\r\\nupgrade: x\\r\\n\\r\\n')",
    outcome: "function_error",
    code: "FUNCTION_ERROR",
  },
  { name: "ends its process", bad: "process.exit(3)", outcome: "function_error", code: "FUNCTION_EXITED" },
  {
    name: "takes all descriptors",
    bad: "try { for (;;) fs.openSync('/dev/null') } catch {} req.socket.destroy()",
    outcome: "function_error",
    code: "FUNCTION_ERROR",
  },
];

describe("a server that", () => {
  let worker: TestWorker;
  before(async () => {
    worker = await TestWorker.start();
    await worker.deploy("neighbour", `export default () => new Response("here");`);
  });
  after(() => worker.stop());

  for (const [index, { name, bad, outcome, code }] of CASES.entries()) {
    it(`${name} fails its own call, and nobody's else`, async () => {
      const functionName = `server-${index}`;
      await worker.deploy(functionName, SERVER(`if (req.url !== "/bad") return res.end("fine"); ${bad}`), {
        timeoutMs: outcome === "timeout" ? LIMIT_MS : stretched(30_000),
      });
      assert.equal((await worker.call(functionName)).text, "fine");
      const neighbour = worker.call("neighbour");
      const answered = await worker.call(functionName, { path: "/bad" });
      assert.deepEqual([answered.outcome, answered.error?.code], [outcome, code]);
      assert.equal((await worker.record(answered.id)).outcome, outcome);
      assert.equal((await neighbour).text, "here");
      assert.equal((await worker.call("neighbour")).text, "here");
    });
  }

  it("closes with each answer costs an instance, and no call", async () => {
    await worker.deploy(
      "closes",
      `import { createServer } from "node:http";
       const server = createServer((req, res) => { res.end("fine"); server.close(); }).listen(process.env.PORT);`,
    );
    const calls = await Promise.all(Array.from({ length: 6 }, () => worker.call("closes")));
    calls.push(await worker.call("closes"), await worker.call("closes"));
    assert.deepEqual([...new Set(calls.map(({ outcome, text }) => `${outcome} ${text}`))], ["ok fine"]);
  });

  it("answers twice to one request does not answer the next one", async () => {
    const twice =
      "HTTP/1.1 200 OK\\r\\ncontent-length: 5\\r\\n\\r\\nfirstHTTP/1.1 200 OK\\r\\ncontent-length: 6\\r\\n\\r\\nsecond";
    await worker.deploy("twice", SERVER(`if (req.url === "/bad") req.socket.write("${twice}"); else res.end("fine");`));
    for (const [path, text] of [
      ["/bad", "first"],
      ["/", "fine"],
    ] as const)
      assert.equal((await worker.call("twice", { path })).text, text);
  });
});
