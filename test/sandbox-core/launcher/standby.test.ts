/** The second zygote of a launcher: it takes over, another comes, and all of them end. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, it } from "node:test";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { eventually } from "../../helpers/eventually.ts";
import { evaluating, openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";
import { zygotesHere } from "../../helpers/zygotes.ts";

let launcher: ZygoteLauncher;
let closed: Promise<void> | null;
const close = (): Promise<void> => (closed ??= launcher.close());
beforeEach(async () => {
  closed = null;
  launcher = await openTestLauncher();
  launcher.keepStandby();
});
afterEach(close);

/** Resolves with the pid of a standby that is none of these. */
async function standby(...others: number[]): Promise<number> {
  const isNew = (pid: number | undefined) => pid !== undefined && !others.includes(pid);
  await eventually(() => isNew(launcher.standbyPid));
  return launcher.standbyPid as number;
}

it("serves at once when the first one dies, and another stands by", async () => {
  const first = await launcher.zygotePid();
  const second = await standby();
  process.kill(first, "SIGKILL");
  await eventually(async () => (await launcher.zygotePid()) !== first);
  assert.equal(await launcher.zygotePid(), second);
  await using client = await SandboxClient.with(launcher, evaluating("1 + 1"));
  assert.equal(await client.text(), "2");
  const third = await standby(second);
  assert.deepEqual(zygotesHere().sort(), [second, third].sort());
});

it("is replaced when it dies itself, and the first one serves on", async () => {
  const first = await launcher.zygotePid();
  const second = await standby();
  process.kill(second, "SIGKILL");
  await standby(second);
  assert.equal(await launcher.zygotePid(), first);
});

it("ends with its launcher", async () => {
  await standby();
  assert.equal(zygotesHere().length, 2);
  await close();
  assert.deepEqual(zygotesHere(), []);
});
