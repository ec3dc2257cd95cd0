import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";

const CHILD = new URL("./fixtures/log-child.ts", import.meta.url).pathname;
/** More than a pipe and the sink hold together. */
const MANY_LINES = 40_000;

function start(): { child: ChildProcess; told: () => Promise<unknown> } {
  const child = spawn(process.execPath, [CHILD], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
  return { child, told: async () => (await once(child, "message"))[0] };
}

test("a log that nobody reads stops nobody, and tells later how much of it was lost", async () => {
  const { child, told } = start();
  child.send(MANY_LINES);
  assert.equal(await told(), "written");
  const lines = createInterface({ input: child.stderr as NodeJS.ReadableStream });
  const numbers: number[] = [];
  let lost = 0;
  for await (const line of lines) {
    const record = JSON.parse(line);
    if (record.message !== "one") lost = record.lines;
    else numbers.push(record.number);
    if (lost > 0) break;
  }
  assert.ok(lost > 0);
  assert.equal(numbers.length + lost, MANY_LINES);
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => index),
  );
  child.kill();
  await once(child, "exit");
});

test("a log whose reader left ends nobody", async () => {
  const { child, told } = start();
  const closed = once(child.stderr as NodeJS.ReadableStream, "close");
  child.stderr?.destroy();
  await closed;
  for (let round = 0; round < 2; round++) {
    child.send(10);
    assert.equal(await told(), "written");
  }
  child.kill();
  await once(child, "exit");
});
