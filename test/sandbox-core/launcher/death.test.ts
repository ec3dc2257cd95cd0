/**
 * When whoever supervises sandboxes dies, in whatever state, the kernel ends them: every process,
 * those of children too.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, it } from "node:test";
import { detectCgroups } from "../../../sandbox-core/cgroup/detect.ts";
import { ROOT_GROUP } from "../../../sandbox-core/cgroup/driver.ts";
import { ownerGroup } from "../../../sandbox-core/cgroup/sweep.ts";
import { ownerName } from "../../../sandbox-core/contract/owner.ts";
import { eventually } from "../../helpers/eventually.ts";
import { openTestLauncher } from "../../helpers/sandbox-client.ts";

const cgroups = detectCgroups();

interface Family {
  supervisor: ChildProcess & { pid: number };
  zygotes: number[];
  hostUids: number[];
}

async function startFamily(): Promise<Family> {
  const program = new URL("./fixtures/supervisor.ts", import.meta.url).pathname;
  const supervisor = spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "inherit"] });
  const failed = once(supervisor, "exit").then(() => Promise.reject(new Error("the supervisor ended by itself")));
  failed.catch(() => undefined);
  const [line] = (await Promise.race([once(supervisor.stdout, "data"), failed])) as [Buffer];
  return { supervisor: supervisor as Family["supervisor"], ...JSON.parse(line.toString()) };
}

/** Every living process of these host users. */
function processesOf(hostUids: readonly number[]): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => hostUids.includes(hostUidOf(pid)));
}

/** Its real user, or -1 when it is gone or dead. */
function hostUidOf(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return /^State:\s+[ZX]/m.test(status) ? -1 : Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]);
  } catch {
    return -1;
  }
}

function kill(pid: number, ...signals: NodeJS.Signals[]): void {
  for (const signal of signals) process.kill(pid, signal);
}

/** Ways to die, and whether the zygotes can still remove what is theirs. */
const DEATHS: [name: string, die: (family: Family) => void, tidy: boolean][] = [
  ["the worker is killed", ({ supervisor }) => kill(supervisor.pid, "SIGKILL"), true],
  ["the worker is stopped, then killed", ({ supervisor }) => kill(supervisor.pid, "SIGSTOP", "SIGKILL"), true],
  [
    "the worker is killed while its zygotes are stopped",
    ({ supervisor, zygotes }) => {
      for (const zygote of zygotes) kill(zygote, "SIGSTOP");
      kill(supervisor.pid, "SIGKILL");
    },
    true,
  ],
  [
    "worker and zygotes are killed together",
    ({ supervisor, zygotes }) => {
      kill(supervisor.pid, "SIGSTOP");
      for (const zygote of zygotes) kill(zygote, "SIGSTOP", "SIGKILL");
      kill(supervisor.pid, "SIGKILL");
    },
    false,
  ],
];

describe("no sandbox outlives its supervisors", () => {
  for (const [name, die, tidy] of DEATHS)
    it(name, async (t) => {
      const family = await startFamily();
      const groups = family.zygotes.map((zygote) => basename(ownerGroup(zygote)));
      const directory = `sandpiper-run-${ownerName(family.supervisor.pid)}-`;
      t.after(() => family.supervisor.kill("SIGKILL"));
      // Three of one fork's family, another fork, a program with what starts it, a template and
      // three of its fork's family.
      assert.ok(processesOf(family.hostUids).length >= 9);
      const died = once(family.supervisor, "exit");
      die(family);
      // As long as it is dying, what it had is not removed by others.
      await died;
      await eventually(() => processesOf(family.hostUids).length === 0);
      await eventually(() => family.zygotes.every((zygote) => hostUidOf(zygote) === -1));
      const left = () => cgroups.children(ROOT_GROUP).filter((group) => groups.includes(group));
      if (tidy) await eventually(() => left().length === 0);
      // Whoever comes next removes the rest: this one, if no other did.
      const next = await openTestLauncher();
      t.after(() => next.close());
      assert.deepEqual(left(), []);
      assert.deepEqual(
        readdirSync("/run").filter((entry) => entry.startsWith(directory)),
        [],
      );
    });
});
