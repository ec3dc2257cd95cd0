/**
 * Requirements 5 and 13: a fork bomb of native code is bounded, nobody else notices, and nothing of
 * it outlives its end.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { eventually } from "../helpers/eventually.ts";
import { evaluating, LIMITS, openTestLauncher, SandboxClient } from "../helpers/sandbox-client.ts";
import { armed, plan } from "./native/inject.ts";

let launcher: ZygoteLauncher;
before(async () => {
  launcher = await openTestLauncher();
});
after(() => launcher.close());

/** How many tasks a host user has. */
function tasksOf(hostUid: number): number {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name) && ownerOf(name) === hostUid).length;
}

function ownerOf(pid: string): number | undefined {
  try {
    return Number(/^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]);
  } catch {
    return undefined; // It ended meanwhile.
  }
}

test("(5, 13) a fork bomb gets its tasks and no more; its neighbour answers; with its end all of it is gone", async () => {
  await using neighbour = await SandboxClient.with(launcher, evaluating(`childProcess.spawnSync("/none").error.code`));
  await using bomb = await armed(launcher, plan("fork bomb", 0));
  const { hostUid } = bomb.sandbox;
  bomb.request();
  await once(bomb.sandbox.stdio, "data");
  // It fills its cgroup. The processes that it made call setsid(2) and go on as it does.
  await eventually(() => tasksOf(hostUid) === LIMITS.pids);
  for (let call = 0; call < 5; call++) {
    assert.equal(await neighbour.text(), '"EPERM"');
    assert.ok(tasksOf(hostUid) <= LIMITS.pids);
  }
  await SandboxClient.evaluate(launcher, "1");
  bomb.sandbox.kill("the test is over");
  await bomb.sandbox.exited;
  assert.equal(tasksOf(hostUid), 0);
});
