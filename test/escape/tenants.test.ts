/**
 * Requirement 18: nothing of one tenant is found by another, or by the next version of the same
 * function. Two sandboxes of one zygote, as close as tenants ever get, and a worker that serves
 * both.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { evaluating, openTestLauncher, SandboxClient } from "../helpers/sandbox-client.ts";
import { TestWorker } from "../helpers/worker.ts";

let launcher: ZygoteLauncher;
before(async () => {
  launcher = await openTestLauncher();
});
after(() => launcher.close());

/** What `look` gives in a sandbox while another has done `leave` and lives on. */
async function found(leave: string, look: string): Promise<unknown> {
  await using one = await SandboxClient.with(launcher, evaluating(leave));
  assert.doesNotMatch(await one.text(), /"error"/);
  return SandboxClient.evaluate(launcher, look);
}

describe("(18) what one sandbox leaves, another does not find:", () => {
  const CASES: [what: string, leave: string, look: string, expected: unknown][] = [
    ["files in /tmp", `fs.writeFileSync("/tmp/secret", "s")`, `fs.readdirSync("/tmp")`, []],
    [
      "sockets in /tmp",
      `new Promise((done) => net.createServer().listen("/tmp/s", () => done(1)))`,
      `once(net.connect("/tmp/s"), "connect")`,
      { error: "ENOENT" },
    ],
    ["a place for shared memory", `1`, `fs.readdirSync("/dev/shm")`, { error: "ENOENT" }],
    [
      "abstract sockets",
      `new Promise((done) => net.createServer().listen("\\0meeting", () => done(1)))`,
      `once(net.connect("\\0meeting"), "connect")`,
      { error: "ECONNREFUSED" },
    ],
    [
      "ports of loopback",
      `new Promise((done) => net.createServer().listen(7777, "127.0.0.1", () => done(1)))`,
      `once(net.connect(7777, "127.0.0.1"), "connect")`,
      { error: "ECONNREFUSED" },
    ],
    [
      "globals",
      `(globalThis.left = 1, process.left = 1, Array.prototype.left = 1)`,
      `[globalThis.left, process.left, [].left]`,
      [null, null, null],
    ],
    ["names", `(process.title = "left", 1)`, `process.title`, "node"],
    ["environment", `(process.env.LEFT = "1", 1)`, `process.env.LEFT ?? null`, null],
    ["a working directory", `(fs.mkdirSync("/tmp/d"), process.chdir("/tmp/d"), 1)`, `process.cwd()`, "/function"],
    ["a file mode mask", `process.umask(0o777)`, `process.umask()`, 0o22],
    ["processes", `1`, `fs.readdirSync("/proc").filter((name) => Number(name) > 0)`, ["1"]],
  ];
  for (const [what, leave, look, expected] of CASES)
    it(what, async () => assert.deepEqual(await found(leave, look), expected));
});

describe("(18) signals", () => {
  it("reach no other sandbox and not the zygote, though all have one parent", async () => {
    const code = `let heard = 0; process.on("SIGCONT", () => heard++); ${evaluating(`heard`)}`;
    await using neighbour = await SandboxClient.with(launcher, code);
    const send = `[0, -1].map((to) => { try { return process.kill(to, "SIGCONT"); } catch (error) { return error.code; } })`;
    await SandboxClient.evaluate(launcher, send);
    assert.equal(await neighbour.text(), "0");
  });
});

describe("(18) times of files that sandboxes share", () => {
  for (const path of ["/", "/etc/hosts", "/dev/null", "/etc/ssl/certs/ca-certificates.crt"])
    it(`cannot be set by one for another to read: ${path}`, async () => {
      const set = `fs.existsSync("${path}") ? attempt(() => fs.utimesSync("${path}", new Date(), new Date())) : { error: "EROFS" }`;
      assert.deepEqual(await SandboxClient.evaluate(launcher, set), { error: "EROFS" });
    });
});

describe("(18) a worker that serves two tenants and two versions", () => {
  let worker: TestWorker;
  before(async () => {
    worker = await TestWorker.start();
  });
  after(() => worker.stop());

  const SPY = `
    import * as fs from "node:fs";
    const seen = { globals: (globalThis as any).left ?? null, files: fs.readdirSync("/tmp") };
    (globalThis as any).left = "left"; fs.writeFileSync("/tmp/left", "left");
    export default () => Response.json(seen);`;
  const CLEAN = { globals: null, files: [] };

  it("gives neither the other's memory and files", async () => {
    await worker.deploy("spy", SPY);
    await worker.deploy("spy", SPY, { tenant: "other" });
    for (const name of ["spy", "other/spy", "spy", "other/spy"])
      assert.deepEqual(JSON.parse((await worker.call(name)).text), CLEAN);
    await worker.deploy("spy", `${SPY}\n// A version of its own.`);
    const next = await worker.call("spy");
    assert.deepEqual([JSON.parse(next.text), next.start === "warm"], [CLEAN, false]);
  });
});
