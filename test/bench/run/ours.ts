/**
 * Sandpiper as the bench runs it: the settings of `npm start`, and who of it is charged with what.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Platform, type PlatformOptions } from "../../helpers/platform.ts";
import type { BenchChild } from "../measure/child.ts";
import type { Accounts } from "../measure/ledger.ts";
import { cpuMs, descendantsOf } from "../measure/processes.ts";
import type { Plan } from "./plan.ts";

/** A zygote that starts uses a processor in each look. */
const LOOK_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/** What `npm start` has unless told otherwise; the tests' platform is smaller. */
const DEFAULTS = { SANDPIPER_PREWARMED: "4", SANDPIPER_MAX_SANDBOXES: "128" };

const NO_STANDBYS = { SANDPIPER_STANDBY_ZYGOTES: "none" };

/**
 * Starts one, and has it stopped with `started`. The workers' second zygotes are there by then: the
 * start of one takes a second of a processor, which would be some round's. A plan whose figures
 * mean nothing has none.
 */
export async function startOurs(
  started: AsyncDisposableStack,
  { standbys }: Pick<Plan, "standbys">,
  options: PlatformOptions = {},
): Promise<Platform> {
  const platform = await Platform.start({
    ...options,
    env: { ...DEFAULTS, ...(standbys ? {} : NO_STANDBYS), ...options.env },
  });
  started.defer(() => platform.stop());
  if (standbys) await Promise.all(platform.workers.map((worker) => untilStandby(() => platform.zygotes(worker))));
  return platform;
}

/**
 * Resolves when there is a second zygote, and both have done what a start is; or after a while, as
 * a busy machine has none so soon, and measures little anyway.
 */
async function untilStandby(zygotes: () => number[]): Promise<void> {
  const usedMs = () => zygotes().reduce((sum, pid) => sum + cpuMs(pid), 0);
  let beforeMs = -1;
  for (let waitedMs = 0; waitedMs < LONGEST_WAIT_MS; waitedMs += LOOK_MS) {
    if (zygotes().length > 1 && usedMs() === beforeMs) return;
    beforeMs = usedMs();
    await delay(LOOK_MS);
  }
}

/** All of its processes, and the load generator beside them. */
export function accountsOf(platform: Platform, load: BenchChild): Accounts {
  return {
    redis: platform.redis.connect(),
    processes: () => ({
      gateway: platform.gatewayPids,
      worker: platform.workers.map(({ pid }) => pid as number),
      "zygote and sandboxes": platform.workers
        .flatMap((worker) => platform.zygotes(worker))
        .flatMap((pid) => [pid, ...descendantsOf(pid)]),
      redis: [platform.redis.pid],
      "load generator": [load.pid],
    }),
  };
}
