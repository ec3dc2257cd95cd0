/** Zygotes that do not get ready: what is said of each. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ZygoteLauncher } from "../../../sandbox-core/launcher/launcher.ts";
import type { WorkLimits } from "../../../sandbox-core/launcher/work-limit.ts";
import { RUNTIME_NODE_FLAGS } from "../../../sandbox-core/runtime/flags.ts";
import { stretched } from "../../helpers/slowness.ts";
import { zygotesHere } from "../../helpers/zygotes.ts";

const NEVER_MS = 3_600_000;
const UNLIMITED: WorkLimits = { cpuMs: NEVER_MS, waitMs: NEVER_MS, wallMs: NEVER_MS };
const LIMIT_MS = stretched(200);
const SPINS = "for (;;);";
const WAITS = "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);";

/** Opens a launcher whose zygote does this before anything else. */
function open(does: string, limits: Partial<WorkLimits> = {}): Promise<ZygoteLauncher> {
  const module = `data:text/javascript,${encodeURIComponent(does)}`;
  return ZygoteLauncher.open({
    nodeFlags: [...RUNTIME_NODE_FLAGS, "--single-threaded", "--import", module],
    uidBase: 1_700_000,
    uidCount: 65_536,
    startLimits: { ...UNLIMITED, ...limits },
  });
}

const DEATHS: [what: string, does: string, limits: Partial<WorkLimits>, said: RegExp][] = [
  ["runs without end", SPINS, { cpuMs: LIMIT_MS }, /not ready after \d+ ms of processor time$/],
  ["waits for ever", WAITS, { waitMs: LIMIT_MS }, /not ready after \d+ ms in which it waited/],
  ["is not run", SPINS, { wallMs: LIMIT_MS }, /not ready within \d+ ms, as this machine is too busy/],
  ["is killed", 'process.kill(process.pid, "SIGKILL");', {}, /\(SIGKILL\): it said nothing before it was ready/],
  ["throws", 'throw new Error("no such thing");', {}, /\(exit code 1\): [\s\S]*Error: no such thing/],
];

for (const [what, does, limits, said] of DEATHS)
  test(`of a zygote that ${what} at its start, the reason is told`, async () => {
    await assert.rejects(open(does, limits), said);
    assert.deepEqual(zygotesHere(), []);
  });
