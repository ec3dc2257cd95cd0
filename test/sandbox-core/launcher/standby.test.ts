/** The second zygote of a launcher: it takes over, another comes, and all of them end. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import { Standby } from "../../../sandbox-core/launcher/standby.ts";
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

describe("is started", () => {
  const waits = { lookMs: 1, longestBusyMs: 5, retryMs: 1, longestRetryMs: 1 };
  /** How many looks there were before it was started, where each finds the process as busy. */
  async function looksUntilStart(busy: (look: number) => number): Promise<number> {
    const started = Promise.withResolvers<number>();
    let looks = -1;
    const kept = new Standby({
      waits,
      // The first only begins the time that is looked at.
      busyPart: () => busy(looks++),
      start: () => {
        started.resolve(looks);
        return new Promise(() => {});
      },
      onTrouble: () => {},
    });
    kept.keep();
    return started.promise;
  }

  it("after a look in which its process was calm", async () => {
    assert.equal(await looksUntilStart(() => 0), 1);
    assert.equal(await looksUntilStart((look) => (look < 3 ? 0.9 : 0.1)), 4);
  });

  it("under steady load as well, later", async () => {
    assert.equal(await looksUntilStart(() => 1), 5);
  });
});
