/** What a machine without a wall shows to those who run Sandpiper on it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { tempDir } from "../helpers/temp-dir.ts";
import { Up } from "../helpers/up.ts";

const CLI = resolve(import.meta.dirname, "../../functions/cli/main.ts");
const NO_LANDLOCK = { lacks: ["landlock_create_ruleset"] };
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";

test("without Landlock it does not start, and says which wall is missing and what can be done", async () => {
  const up = new Up(tempDir(), ["--once", "--port", "0"], {}, NO_LANDLOCK);
  assert.equal(await up.exited, 1, up.output);
  assert.match(up.output, /sandboxes here would be without a wall:\n +landlock: the kernel has no Landlock/);
  assert.match(up.output, /Or accept it with --allow-degraded=landlock/);
  assert.doesNotMatch(up.output, / {4}at /, "a stack trace helps nobody here");
  assert.deepEqual(up.remains(), []);
});

test("a wall that may never be missing cannot be allowed to be", async () => {
  const up = new Up(tempDir(), ["--once", "--port", "0", "--allow-degraded", "seccomp"]);
  assert.equal(await up.exited, 1, up.output);
  assert.match(up.output, /the wall seccomp may never be missing/);
});

test("allowed to do without Landlock it serves, and /readyz, doctor and every span say so", async (t) => {
  const up = new Up(tempDir(), ["--port", "0", "--allow-degraded=landlock"], {}, NO_LANDLOCK);
  t.after(() => up.ctrlC());
  await up.says(/Ctrl-C stops it/);
  const url = (await up.says(/Gateway {4}(\S+)/))[1] as string;
  const keyFile = join(up.dataDir, "api-key");

  const ready = await (await fetch(`${url}/readyz`)).json();
  assert.deepEqual(ready, { ready: true, workers: 1, degraded: ["landlock"], warnings: [] });

  const answer = await fetch(`${url}/fn/main/hello`, { headers: { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` } });
  assert.equal(await answer.text(), "Hello, world!\n");
  const spans = await spansOf(url, readFileSync(keyFile, "utf8").trim());
  for (const { name, attributes } of spans) assert.deepEqual(attributes["sandpiper.degraded"], ["landlock"], name);

  const doctor = ["doctor", "--url", url, "--api-key-file", keyFile];
  const { stdout } = await promisify(execFile)(process.execPath, [CLI, ...doctor]);
  assert.match(stdout, /is ready, and its workers do without landlock/);

  up.processes();
  up.ctrlC();
  assert.equal(await up.exited, 0);
  assert.deepEqual(up.remains(), []);
});

interface Span {
  name: string;
  attributes: Record<string, unknown>;
}

/** The trace, once the spans of gateway and worker are all there. */
async function spansOf(url: string, key: string): Promise<Span[]> {
  for (;;) {
    const response = await fetch(`${url}/v1/traces/${TRACE}`, { headers: { authorization: `Bearer ${key}` } });
    const { spans = [] } = (await response.json()) as { spans?: Span[] };
    const names = spans.map(({ name }) => name);
    if (["gateway", "enqueue", "queue", "acquire", "handler", "respond"].every((name) => names.includes(name)))
      return spans;
    await new Promise((next) => setTimeout(next, 20));
  }
}
