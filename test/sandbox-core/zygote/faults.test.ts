/**
 * Every system call of a launch made to fail in turn, inside a real zygote: the tenant's code never runs, the launch says
 * which call it was, nothing is left behind, and the zygote makes the next sandbox.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { SandboxError } from "../../../sandbox-core/error.ts";
import type { Launcher } from "../../../sandbox-core/index.ts";
import type { ZygoteLauncher } from "../../../sandbox-core/zygote/launcher.ts";
import { FaultyLauncher, type Recorded, type Side } from "../../helpers/faults.ts";
import { LIMITS, SandboxClient } from "../../helpers/sandbox-client.ts";
import { WireClient } from "../../helpers/wire-client.ts";

/** Room enough for a Node that starts by itself. */
const ROOMY = { memoryBytes: 256 << 20 };
/** Readings of libuv's pipe: what they give is what is judged. */
const SILENT = new Set(["readlink"]);
const LOOK_AGAIN_MS = 5;
const MOST_LOOKS = 1_000;

/** The calls of one side, while a sandbox is made, comes to life and ends. */
async function record(faulty: FaultyLauncher, side: Side): Promise<Recorded[]> {
  faulty.plan({ record: true });
  await bornAndKilled(faulty.launcher);
  return faulty.recorded().filter((call) => call.side === side);
}

async function bornAndKilled(launcher: ZygoteLauncher): Promise<void> {
  await using _client = await SandboxClient.blank(launcher, ROOMY);
}

/** Launches, and gives what was said of it: the refusal, or how a sandbox that never came to life ended. */
async function refusal(launcher: Launcher): Promise<string> {
  const sandbox = await launcher.launch({ ...LIMITS, ...ROOMY }).catch((error: unknown) => error);
  if (sandbox instanceof Error) {
    assert.ok(sandbox instanceof SandboxError, sandbox.stack);
    return sandbox.message;
  }
  const { wire, stdio, exited } = sandbox as Awaited<ReturnType<Launcher["launch"]>>;
  const client = new WireClient(wire, exited);
  let lastWords = "";
  for await (const text of stdio) lastWords += text;
  await assert.rejects(client.next("ready"), /The runtime is gone/);
  const { code, reason } = await exited;
  assert.notEqual(code, 0);
  return `${reason ?? ""}${lastWords}`;
}

/** Waits until nothing is there that was not before: the ends of sockets come a moment later. */
async function nothingLeft(faulty: FaultyLauncher, before: unknown): Promise<void> {
  for (let look = 1; look < MOST_LOOKS; look++) {
    if (JSON.stringify(await faulty.leftovers()) === JSON.stringify(before)) return;
    await delay(LOOK_AGAIN_MS);
  }
  assert.deepEqual(await faulty.leftovers(), before);
}

for (const kind of ["fork", "exec"] as const)
  test(`${kind}: a call of the lock-in that fails makes no sandbox and leaves nothing`, {
    timeout: 240_000,
  }, async () => {
    const faulty = await FaultyLauncher.open({ kind });
    const { launcher } = faulty;
    await bornAndKilled(launcher);
    const calls = await record(faulty, "child");
    assert.ok(calls.length > 100, `${calls.length} calls`);
    const zygote = await launcher.zygotePid();
    const before = await faulty.leftovers();
    for (const { side, name, at } of calls) {
      faulty.plan({ fault: { side, at, code: "EPERM" } });
      const said = await refusal(launcher);
      if (!SILENT.has(name)) assert.match(said, new RegExp(`\\b${name}\\b.*EPERM|EPERM.*\\b${name}\\b`), `call ${at}`);
      faulty.plan();
      await nothingLeft(faulty, before);
      if (kind === "fork") await bornAndKilled(launcher);
    }
    await bornAndKilled(launcher);
    await nothingLeft(faulty, before);
    assert.equal(await launcher.zygotePid(), zygote);
    await faulty.close();
  });
