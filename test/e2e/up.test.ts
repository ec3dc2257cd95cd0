/** `npm start`, whole: every process, sandbox and kernel object of it is real. */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { SERVICE_NODE_FLAGS } from "../../infra/service-flags.ts";
import { startRedis } from "../helpers/redis.ts";
import { fillDisk, tempDir, tinyDisk } from "../helpers/temp-dir.ts";
import { Up } from "../helpers/up.ts";

const shell = async (command: string) => (await promisify(execFile)("sh", ["-c", command])).stdout;
const READY = /Ctrl-C stops it/;

test("--once starts, deploys, calls, shows what to do and leaves nothing", async () => {
  const up = new Up(tempDir(), ["--once", "--port", "0"]);
  await up.says(/Call the example hello: "Hello, Sandpiper!"/);
  assert.equal(await up.exited, 0, up.output);
  assert.match(up.output, /Deploy the example hello \(/);
  assert.match(up.output, /API key {4}\S+\/api-key/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: piped output must have none.
  assert.doesNotMatch(up.output, /[\u0000-\u0009\u000b-\u001f]/);
  assert.deepEqual(up.remains(), []);
});

describe("in the foreground", () => {
  test("it heals, refuses a second one, and leaves nothing after Ctrl-C", async (t) => {
    const up = new Up(tempDir(), ["--port", "0", "--workers", "2"]);
    t.after(() => up.ctrlC());
    await up.says(READY);
    const url = (await up.says(/Gateway {4}(\S+)/))[1] as string;
    const curl = (await up.says(/^ {2}(curl 'http:\/\/hello\.main\.localhost:.*)$/m))[1] as string;
    assert.equal(await shell(curl), "Hello, Sandpiper!\n");

    for (const service of [/gateway\/main\.ts/, /worker\/main\.ts/]) {
      const words = readFileSync(`/proc/${up.pidOf(service)}/cmdline`, "utf8").split("\0");
      for (const flag of SERVICE_NODE_FLAGS) assert.ok(words.includes(flag), words.join(" "));
    }

    await t.test("a second start in its data directory is refused", async () => {
      const second = new Up(up.dataDir, ["--port", "0"]);
      assert.equal(await second.exited, 1);
      assert.match(second.output, /another Sandpiper \(process \d+\) uses the data directory/);
      assert.equal(await shell(curl), "Hello, Sandpiper!\n");
    });

    await t.test("a second start on its port is refused", async () => {
      const second = new Up(tempDir(), ["--port", new URL(url).port]);
      assert.equal(await second.exited, 1);
      assert.match(second.output, /port \d+ on 127\.0\.0\.1 is in use/);
    });

    for (const [name, command] of [
      ["worker 1", /worker\/main\.ts/],
      ["private Redis", /redis-server/],
      ["gateway", /gateway\/main\.ts/],
    ] as const) {
      await t.test(`the ${name} that is killed comes back, and calls are answered`, async () => {
        process.kill(up.pidOf(command), "SIGKILL");
        await up.says(new RegExp(`the ${name === "worker 1" ? "worker \\d" : name} is back`));
        assert.equal(await answerAgain(url), "Hello, world!\n");
      });
    }

    up.processes();
    up.ctrlC();
    assert.equal(await up.exited, 0);
    assert.deepEqual(up.remains(), []);
  });

  test("what a killed start leaves behind ends by itself, and the next start is well", async () => {
    const dataDir = tempDir();
    const killed = new Up(dataDir, ["--port", "0"]);
    await killed.says(READY);
    const key = readFileSync(join(dataDir, "api-key"), "utf8");
    process.kill(killed.pidOf(/infra\/up\.ts/), "SIGKILL");
    assert.equal(await killed.exited, 137);

    const next = new Up(dataDir, ["--once", "--port", "0"]);
    assert.equal(await next.exited, 0, next.output);
    assert.equal(readFileSync(join(dataDir, "api-key"), "utf8"), key);
    assert.deepEqual(killed.remains(), []);
  });

  test("Ctrl-C while it starts leaves nothing either", async () => {
    const up = new Up(tempDir(), ["--port", "0"]);
    await up.says(/Start a private Redis/);
    up.processes();
    up.ctrlC();
    assert.equal(await up.exited, 130);
    assert.deepEqual(up.remains(), []);
  });
});

test("all of it ends, and leaves nothing, when npm that started it is ended", async () => {
  const up = new Up(tempDir(), ["--port", "0"], {}, { byNpm: true });
  await up.says(READY);
  up.processes();
  up.signal("SIGTERM");
  // Its output ends with the last process that holds it.
  await up.exited;
  assert.match(up.output, /ok Stop/);
  assert.deepEqual(up.remains(), []);
});

test("with REDIS_URL that Redis is used, and none is started", async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const up = new Up(tempDir(), ["--once", "--port", "0"], { REDIS_URL: redis.url });
  assert.equal(await up.exited, 0, up.output);
  assert.match(up.output, /Reach the Redis of REDIS_URL/);
  assert.doesNotMatch(up.output, /Start a private Redis/);
  assert.equal(await redis.connect().ping(), "PONG");
});

test("what cannot work is told before anything is started", async (t) => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  for (const [args, env, message] of [
    [["--port", String(port)], {}, new RegExp(`port ${port} on 127\\.0\\.0\\.1 is in use\\n.*--port 0`)],
    [
      ["--port", "0"],
      { REDIS_URL: "redis://127.0.0.1:1" },
      /REDIS_URL \(redis:\/\/127\.0\.0\.1:1\S*\) cannot be reached/,
    ],
    [["--port", "0"], { REDIS_URL: "nonsense" }, /REDIS_URL must be redis:/],
    [["--port", "0"], { SANDPIPER_IDLE_MS: "soon" }, /SANDPIPER_IDLE_MS must be a whole number/],
    [["--workers", "none"], {}, /--workers must be a whole number/],
  ] as const) {
    const up = new Up(tempDir(), args, env);
    assert.equal(await up.exited, 1, up.output);
    assert.match(up.output, message);
    assert.doesNotMatch(up.output, / {4}at /, "a stack trace helps nobody here");
  }
});

test("a disk that is full or read-only is told in two lines, and nothing is started", async (t) => {
  const full = tinyDisk(t);
  fillDisk(full);
  const readOnly = tinyDisk(t);
  execFileSync("mount", ["-o", "remount,ro", readOnly]);
  for (const [dir, message] of [
    [full, /^error: cannot use the data directory \S+: its disk is full \(ENOSPC\)\nfree some space/m],
    [readOnly, /^error: cannot use the data directory \S+: .* mounted read-only \(EROFS\)\nmount it writable/m],
  ] as const) {
    const up = new Up(join(dir, "data"), ["--port", "0"]);
    assert.equal(await up.exited, 1, up.output);
    assert.match(up.output, message);
    assert.doesNotMatch(up.output, / {4}at |private Redis/);
  }
});

/**
 * Calls until the function answers: what was in flight when a part died may get a typed error
 * first.
 */
async function answerAgain(url: string): Promise<string> {
  for (;;) {
    const response = await fetch(`${url}/fn/main/hello`).catch(() => null);
    const text = await response?.text().catch(() => undefined);
    if (response?.status === 200 && text !== undefined) return text;
  }
}
