/**
 * Several workers on one machine share its memory and its range of user ids; no two sandboxes may
 * be the same user.
 */
import { loadConfig } from "../config.ts";
import type { Environment } from "../environment.ts";

/**
 * The settings that differ from worker to worker: its name, and its share of the machine.
 * @throws ConfigError when the environment's own settings are wrong.
 */
export function workerEnvironment(env: Environment, index: number, count: number): Environment {
  if (count === 1) return env.SANDPIPER_WORKER_ID ? {} : { SANDPIPER_WORKER_ID: "worker-1" };
  const { worker } = loadConfig(env);
  const uidCount = Math.floor(worker.uidCount / count);
  return {
    SANDPIPER_WORKER_METRICS: nth(worker.workerMetrics, index),
    SANDPIPER_WORKER_ID: `${env.SANDPIPER_WORKER_ID ?? "worker"}-${index + 1}`,
    SANDPIPER_UID_BASE: String(worker.uidBase + index * uidCount),
    SANDPIPER_UID_COUNT: String(uidCount),
    SANDPIPER_MEMORY_BUDGET_BYTES: String(Math.floor(worker.memoryBudgetBytes / count)),
  };
}

/** The n-th port from the one that is given. */
function nth(listener: string, index: number): string {
  return listener.replace(/\d+$/, (port) => (port === "0" ? port : String(Number(port) + index)));
}
