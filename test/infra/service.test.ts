import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";

const CHILD = new URL("./fixtures/service-child.ts", import.meta.url).pathname;

interface Started {
  child: ChildProcess;
  output: () => string;
}

function start(behaviour: string): Started {
  const child = fork(CHILD, [behaviour], { stdio: ["ignore", "pipe", "pipe", "ipc"] });
  let output = "";
  child.stdout?.on("data", (chunk) => {
    output += chunk;
  });
  child.stderr?.resume();
  return { child, output: () => output };
}

test("a service tells that it is ready, drains at the first signal and ends with 0", async () => {
  const { child, output } = start("normal");
  assert.deepEqual(await once(child, "message").then(([message]) => message), {
    type: "ready",
    facts: { url: "http://127.0.0.1:1" },
  });
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "close"), [0, null]);
  assert.equal(output(), "drain\n");
});

test("the second signal stops what drains for ever", async () => {
  const { child, output } = start("drains-forever");
  await once(child, "message");
  child.kill("SIGTERM");
  await once(child.stdout as NodeJS.ReadableStream, "data");
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "close"), [143, null]);
  assert.equal(output(), "drain\nstop\n");
});

test("a service whose supervisor is gone stops at once", async () => {
  const { child, output } = start("drains-forever");
  await once(child, "message");
  // Node emits no "close" for a child whose channel was disconnected from this side.
  const ended = Promise.all([once(child, "exit"), once(child.stdout as NodeJS.ReadableStream, "end")]);
  child.disconnect();
  assert.deepEqual((await ended)[0], [143, null]);
  assert.match(output(), /stop/);
});

test("a service that cannot start says why", async () => {
  const { child } = start("fails");
  const [message] = await once(child, "message");
  assert.deepEqual(message, { type: "failed", message: "no such thing", code: "ENOTHING", isFinal: false });
  assert.deepEqual(await once(child, "close"), [1, null]);
});
