/**
 * Sandpiper as the bench runs it: the settings of `npm start`, and who of it is charged with what.
 */
import { Platform, type PlatformOptions } from "../../helpers/platform.ts";
import type { BenchChild } from "../measure/child.ts";
import type { Accounts } from "../measure/ledger.ts";
import { descendantsOf } from "../measure/processes.ts";

/** What `npm start` has unless told otherwise; the tests' platform is smaller. */
const DEFAULTS = { SANDPIPER_PREWARMED: "4", SANDPIPER_MAX_SANDBOXES: "128" };

/** Starts one, and has it stopped with `started`. */
export async function startOurs(started: AsyncDisposableStack, options: PlatformOptions = {}): Promise<Platform> {
  const platform = await Platform.start({ ...options, env: { ...DEFAULTS, ...options.env } });
  started.defer(() => platform.stop());
  return platform;
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
