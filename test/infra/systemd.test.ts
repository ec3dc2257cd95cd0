/**
 * What systemd hears of a service, over a real socket of its kind, and what our units ask of
 * systemd.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { SERVICE_NODE_FLAGS } from "../../infra/service-flags.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const SERVICE = new URL("./fixtures/service-child.ts", import.meta.url).pathname;
const SOCKET = new URL("./fixtures/notify-socket.ts", import.meta.url).pathname;
const BEAT = "READY=1\nWATCHDOG=1";

function run(t: TestContext, script: string, argument: string, env: Record<string, string> = {}) {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", process.execPath, script, argument], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  t.after(() => child.kill("SIGKILL"));
  return { child, out: lines(child.stdout), err: lines(child.stderr) };
}

function lines(stream: NodeJS.ReadableStream): AsyncIterator<string> {
  return createInterface({ input: stream })[Symbol.asyncIterator]();
}

for (const [kind, name] of [
  ["a path", () => join(tempDir(), "notify")],
  ["an abstract name", () => `@sandpiper-test-${process.pid}`],
] as const) {
  test(`a service says at ${kind} that it is ready, and goes on saying that it lives`, async (t) => {
    const address = name();
    const { out } = run(t, SOCKET, address);
    assert.equal((await out.next()).value, "bound");
    run(t, SERVICE, "normal", { NOTIFY_SOCKET: address });
    for (let beat = 0; beat < 3; beat += 1) assert.equal(JSON.parse(String((await out.next()).value)), BEAT);
  });
}

test("a service whose loop hangs says nothing more", async (t) => {
  const [hangs, lives] = [join(tempDir(), "notify"), join(tempDir(), "notify")];
  const [silent, loud] = [run(t, SOCKET, hangs).out, run(t, SOCKET, lives).out];
  for (const socket of [silent, loud]) await socket.next();
  run(t, SERVICE, "spins", { NOTIFY_SOCKET: hangs });
  assert.equal(JSON.parse(String((await silent.next()).value)), BEAT);
  let next: unknown = null;
  void silent.next().then(({ value }) => {
    next = value;
  });
  run(t, SERVICE, "normal", { NOTIFY_SOCKET: lives });
  for (let beat = 0; beat < 4; beat += 1) await loud.next();
  assert.equal(next, null);
});

test("a socket that is not there is an error in the log, and the service runs on", async (t) => {
  const { err } = run(t, SERVICE, "normal", { NOTIFY_SOCKET: join(tempDir(), "missing") });
  assert.match(String((await err.next()).value), /systemd cannot be told that this service is ready/);
});

test("the units have systemd wait for a service, watch it, end it by the one signal that ends all that hangs, and never give up, with the master key, on a Node with the flags of services", () => {
  for (const name of ["gateway", "worker"]) {
    const unit = readFileSync(new URL(`../../infra/deploy/sandpiper-${name}.service`, import.meta.url), "utf8");
    for (const line of [
      "Type=notify",
      "NotifyAccess=main",
      "WatchdogSec=20",
      "WatchdogSignal=SIGKILL",
      "Restart=always",
      "StartLimitIntervalSec=0",
      "LoadCredential=master-key:/etc/sandpiper/master-key",
      "Environment=SANDPIPER_MASTER_KEY_FILE=%d/master-key",
    ])
      assert.ok(unit.split("\n").includes(line), `${name}: ${line}`);
    const [, ...words] = /^ExecStart=(.*)$/m.exec(unit)?.[1]?.split(" ") ?? [];
    assert.deepEqual(words.slice(0, -1), SERVICE_NODE_FLAGS, name);
  }
});

test("the document makes the gateway's user before anything is given to it", () => {
  const text = readFileSync(new URL("../../docs/DEPLOYMENT.md", import.meta.url), "utf8");
  const commands = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block]) => String(block).split("\n"));
  const made = commands.findIndex((line) => line.startsWith("useradd "));
  const given = commands.findIndex((line) => /^chown sandpiper|-o sandpiper/.test(line));
  assert.ok(made >= 0 && given > made, `useradd at ${made}, given at ${given}`);
});
