/**
 * Everything that /proc shows of a sandbox, compared with what was agreed on: posture-cgroup1.json,
 * or posture-cgroup2.json where cgroups are of version 2. Whoever changes a wall renews it with
 * `npm run posture`, and reads the difference.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import type { ZygoteLauncher } from "../../sandbox-core/launcher/launcher.ts";
import { eventually } from "../helpers/eventually.ts";
import { evaluating, openTestLauncher, SandboxClient } from "../helpers/sandbox-client.ts";
import { stretched } from "../helpers/slowness.ts";
import { childrenOf, isRoots } from "../helpers/zygotes.ts";
import { readBaseline, readObjects } from "./posture/baseline.ts";
import { differences, readGolden } from "./posture/golden.ts";
import { INVOCATIONS, type Postures, readAllStages } from "./posture/stages.ts";

const [UID_BASE, UID_COUNT] = [2_600_000, 1_024];
const SANDBOXES = 100;
const AT_ONCE = 4;
/** How often it is looked whether nothing is left, before what is left is told. */
const MOST_LOOKS = stretched(200);

const HINT =
  "What /proc shows of a sandbox is not what was agreed on. If that is meant: npm run posture, and read the diff.";

let actual: Postures;
let launcher: ZygoteLauncher;
before(async () => {
  actual = await readAllStages();
  launcher = await openTestLauncher({ uidBase: UID_BASE, uidCount: UID_COUNT });
});
after(() => launcher.close());

test(`every task of a sandbox is as agreed: blank, loaded, after ${INVOCATIONS} invocations; forks, exec, programs`, () => {
  const found = differences(readGolden(), actual);
  assert.ok(found.length === 0, `${HINT}\n${found.join("\n")}`);
});

test("the comparison sees what is new, what is gone and what changed, however deep", () => {
  const stage = Object.keys(actual)[0] as string;
  const changed = (change: (task: Record<string, never>) => void) => {
    const copy = structuredClone(actual);
    change(copy[stage]?.["the first task"] as Record<string, never>);
    return differences(actual, copy).length;
  };
  assert.equal(differences(actual, structuredClone(actual)).length, 0);
  assert.equal(
    changed((task: Record<string, Record<string, string>>) => Object.assign(task.status ?? {}, { NoNewPrivs: "0" })),
    2,
  );
  assert.equal(
    changed((task: Record<string, Record<string, string>>) => Object.assign(task.status ?? {}, { Unheard: "of" })),
    1,
  );
  assert.equal(
    changed((task: Record<string, Record<string, string>>) => delete task.status?.CapEff),
    1,
  );
  assert.equal(
    changed((task: Record<string, Record<string, string>>) => Object.assign(task.fd ?? {}, { 77: "socket 02" })),
    1,
  );
  assert.equal(
    changed((task: Record<string, string[]>) => task.mountinfo?.push("/ /host rw - ext4")),
    1,
  );
  assert.equal(
    changed((task: Record<string, string[]>) => task.mountinfo?.pop()),
    1,
  );
});

test(`${SANDBOXES} sandboxes later nothing of them is left: groups, mounts, descriptors, processes, users`, async () => {
  const zygotePid = await launcher.zygotePid();
  const once = async () => {
    await using client = await SandboxClient.with(launcher, evaluating("(fs.writeFileSync('/tmp/a', 'x'), 1)"));
    assert.equal(await client.text(), "1");
  };
  // The next sandbox, made whole, and the fork that the one after it will be.
  const bothWait = () =>
    eventually(() => childrenOf(zygotePid).length === 2 && childrenOf(zygotePid).filter(isRoots).length === 1);
  await once();
  await bothWait();
  // The groups are those of the two that wait, which have other names after each launch.
  const now = () => {
    const { cgroups, processesOfHostUsers, ...rest } = readBaseline(zygotePid, UID_BASE, UID_COUNT);
    return { ...rest, cgroups: cgroups.length, processesOfHostUsers: processesOfHostUsers.length };
  };
  const baseline = now();
  assert.deepEqual([baseline.cgroups, baseline.processesOfHostUsers], [2, 1]);
  let left = SANDBOXES;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) await once();
    }),
  );
  await bothWait();
  // What the last sandboxes had said is read to its end, and then this process closes their
  // connections.
  let looks = 0;
  await eventually(() => isDeepStrictEqual(now(), baseline) || ++looks === MOST_LOOKS);
  assert.deepEqual(now(), baseline);
});

test("two sandboxes hold no socket, pipe or namespace in common, time left aside", async () => {
  await using one = await SandboxClient.blank(launcher);
  await using other = await SandboxClient.blank(launcher);
  const [first, second] = [one, other].map(({ sandbox }) => readObjects(sandbox.pid));
  assert.deepEqual(
    [...(first ?? [])].filter((object) => second?.has(object) && !object.startsWith("time:")),
    [],
  );
  assert.ok((first?.size ?? 0) > 10);
});
