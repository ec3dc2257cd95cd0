/** Launchers whose forks do not live: each sandbox starts a Node, until forks live again. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { LauncherOptions } from "../../../sandbox-core/host/open.ts";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { eventually } from "../../helpers/eventually.ts";
import { evaluating, openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";
import { selftestFlags } from "../../helpers/selftest-module.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { zygotesHere } from "../../helpers/zygotes.ts";

const NEVER_MS = 3_600_000;

/** What a launcher was told to tell, and the file that says how its forks end. */
interface Trial {
  launcher: ZygoteLauncher;
  told: string[];
  plan: string;
}

async function openWith(how: string, options: Partial<LauncherOptions> = {}): Promise<Trial & AsyncDisposable> {
  const plan = join(tempDir(), "plan");
  if (how !== "") writeFileSync(plan, how);
  const told: string[] = [];
  const launcher = await openTestLauncher({
    kind: "auto",
    zygoteFlags: selftestFlags(plan),
    onFallback: (reason) => told.push(reason),
    onReturn: () => told.push("forks live"),
    forksRetryMs: NEVER_MS,
    ...options,
  });
  return { launcher, told, plan, [Symbol.asyncDispose]: () => launcher.close() };
}

/** Twice the memory: a Node of its own takes more than a fork. */
const LIMITS = { memoryBytes: 256 << 20 };
/** Answers with its process id inside: 1 in a fork, and 2 in a Node that something had to start. */
const PID = evaluating("process.pid");

test("where forks live, sandboxes are forks", async () => {
  await using trial = await openWith("");
  assert.deepEqual([trial.launcher.kind, trial.told], ["fork", []]);
});

test("where forks hang, each sandbox starts a Node, until forks live", async () => {
  await using trial = await openWith("hangs", { forksRetryMs: 1 });
  const { launcher, told } = trial;
  assert.equal(launcher.kind, "exec");
  assert.match(told.join(), /does not live: its self-test was not done after 5000 ms in which it waited/);
  await using before = await SandboxClient.with(launcher, PID, { limits: LIMITS });
  assert.equal(await before.text(), "2");
  rmSync(trial.plan);
  await eventually(() => launcher.kind === "fork");
  assert.deepEqual(told.slice(1), ["forks live"]);
  await using after = await SandboxClient.with(launcher, PID, { limits: LIMITS });
  assert.equal(await after.text(), "1");
  assert.equal(await before.text(), "2", "the one that there was lives on");
  await before[Symbol.asyncDispose]();
  await eventually(() => zygotesHere().length === 1);
});

test("a zygote that is replaced has forks tried again", async () => {
  await using trial = await openWith("crashes");
  assert.match(trial.told.join(), /does not live: it was ended by signal 9/);
  rmSync(trial.plan);
  process.kill(await trial.launcher.zygotePid(), "SIGKILL");
  await eventually(() => trial.launcher.kind === "fork");
});

test("a zygote that dies during its self-test says nothing about forks", async () => {
  await assert.rejects(openWith("zygote dies"), /the zygote died \(SIGKILL\)$/);
  assert.deepEqual(zygotesHere(), []);
});

test("a launcher that is closed while it tries forks again leaves nothing", async () => {
  const trial = await openWith("crashes", { forksRetryMs: 1 });
  await eventually(() => zygotesHere().length === 2);
  await trial[Symbol.asyncDispose]();
  assert.deepEqual(zygotesHere(), []);
});
