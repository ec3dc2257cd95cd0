/**
 * Zygotes are renewed while their launcher goes on serving, and none stays longer than a sandbox
 * needs it.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import { groupsOf, ownerGroup } from "../../../sandbox-core/cgroup/sweep.ts";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import type { Renewal } from "../../../sandbox-core/launcher/launcher-options.ts";
import { eventually } from "../../helpers/eventually.ts";
import { LIMITS, openTestLauncher, SandboxClient } from "../../helpers/sandbox-client.ts";
import { stretched } from "../../helpers/slowness.ts";
import { parentOf, zygotesHere } from "../../helpers/zygotes.ts";

const cgroups = detectCgroups();
const NEVER_MS = 3_600_000;

async function openRenewed(renewal: Renewal, more: Parameters<typeof openTestLauncher>[0] = {}) {
  const launcher = await openTestLauncher({ renewal, ...more });
  return Object.assign(launcher, { [Symbol.asyncDispose]: () => launcher.close() });
}

/** Launches and ends sandboxes until another zygote serves; gives the zygotes that made them. */
async function launchUntilRenewed(launcher: ZygoteLauncher): Promise<Set<number>> {
  const old = await launcher.zygotePid();
  const parents = new Set<number>();
  do {
    await using client = await SandboxClient.blank(launcher);
    parents.add(parentOf(client.sandbox.pid));
  } while ((await launcher.zygotePid()) === old);
  return parents;
}

test("after its number of forks the next zygote serves, and the old one serves until then", async () => {
  await using launcher = await openRenewed({ forks: 3, ageMs: NEVER_MS });
  const old = await launcher.zygotePid();
  const parents = await launchUntilRenewed(launcher);
  assert.deepEqual([...parents], [old], "nobody waited for the next one");
  await using client = await SandboxClient.blank(launcher);
  assert.equal(parentOf(client.sandbox.pid), await launcher.zygotePid());
  await eventually(() => !existsSync(`/proc/${old}`));
  assert.deepEqual(groupsOf(cgroups, ownerGroup(old)), []);
});

test("an old zygote stays for its sandbox, which is told to make way and lives until it is ended", async () => {
  await using launcher = await openRenewed({ forks: 1, ageMs: stretched(500) });
  const old = await launcher.zygotePid();
  await using client = await SandboxClient.with(launcher, "export default () => new Response('here')");
  const { outdated } = client.sandbox;
  if ((await launcher.zygotePid()) === old) assert.equal(outdated, false);
  await eventually(async () => (await launcher.zygotePid()) !== old);
  await eventually(() => client.sandbox.outdated);
  assert.equal(await client.text(), "here");
  assert.ok(existsSync(`/proc/${old}`));
  await client[Symbol.asyncDispose]();
  await eventually(() => !existsSync(`/proc/${old}`));
});

test("a zygote that has forked is renewed when it is old, and one that has not stays", async () => {
  await using launcher = await openRenewed({ forks: 1_000, ageMs: 400 });
  await using other = await openRenewed({ forks: 1_000, ageMs: 50 });
  const [old, idle] = [await launcher.zygotePid(), await other.zygotePid()];
  await (await SandboxClient.blank(launcher))[Symbol.asyncDispose]();
  await eventually(async () => (await launcher.zygotePid()) !== old);
  assert.equal(await other.zygotePid(), idle);
});

test("at most two old zygotes stay; the sandboxes of the oldest make way at once, and renewal waits for them", async () => {
  await using launcher = await openRenewed({ forks: 1, ageMs: NEVER_MS });
  const clients: SandboxClient[] = [];
  for (const _ of [1, 2]) {
    const before = await launcher.zygotePid();
    clients.push(await SandboxClient.blank(launcher));
    await eventually(async () => (await launcher.zygotePid()) !== before);
  }
  const third = await launcher.zygotePid();
  clients.push(await SandboxClient.blank(launcher));
  await eventually(() => clients[0]?.sandbox.outdated === true);
  assert.equal(zygotesHere().length, 3);
  assert.equal(clients[2]?.sandbox.outdated, false);
  // The launcher goes on serving from the one it has.
  clients.push(await SandboxClient.blank(launcher));
  assert.equal(await launcher.zygotePid(), third);
  await clients[0]?.[Symbol.asyncDispose]();
  await eventually(async () => (await launcher.zygotePid()) !== third);
  assert.equal(zygotesHere().length, 3);
});

test("a renewal that fails is told, and the old zygote serves on", async () => {
  const told = Promise.withResolvers<[string, unknown]>();
  // One block of user ids: the second zygote finds none.
  const uids = { uidBase: 1_900_000, uidCount: 1_024 };
  const onTrouble = (message: string, cause: unknown) => told.resolve([message, cause]);
  await using launcher = await openRenewed({ forks: 1, ageMs: NEVER_MS }, { ...uids, onTrouble });
  const old = await launcher.zygotePid();
  await (await SandboxClient.blank(launcher))[Symbol.asyncDispose]();
  const [message, cause] = await told.promise;
  assert.match(message, /serves on/);
  assert.match((cause as Error).message, /no free block/);
  await (await SandboxClient.blank(launcher))[Symbol.asyncDispose]();
  assert.equal(await launcher.zygotePid(), old);
});

test("when old and new zygotes are killed, all sandboxes end and the launcher heals", async () => {
  await using launcher = await openRenewed({ forks: 1, ageMs: NEVER_MS });
  const old = await launcher.zygotePid();
  await using first = await SandboxClient.blank(launcher);
  await eventually(async () => (await launcher.zygotePid()) !== old);
  process.kill(old, "SIGKILL");
  assert.match((await first.sandbox.exited).reason ?? "", /zygote died/);
  process.kill(await launcher.zygotePid(), "SIGKILL");
  await using next = await eventuallyBlank(launcher);
  assert.notEqual(parentOf(next.sandbox.pid), old);
});

/** A blank sandbox, tried again while the death of a zygote is not yet known. */
async function eventuallyBlank(launcher: ZygoteLauncher): Promise<SandboxClient> {
  for (;;) {
    try {
      return await SandboxClient.blank(launcher);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

test("closed in the midst of a renewal, nothing is left", async () => {
  const launcher = await openTestLauncher({ renewal: { forks: 1, ageMs: NEVER_MS } });
  await launcher.launch(LIMITS);
  await launcher.close();
  assert.deepEqual(zygotesHere(), []);
});
