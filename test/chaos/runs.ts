/** The runs, as data. */
import * as faults from "./faults.ts";
import { type KindName, USUAL } from "./kinds.ts";
import type { ChaosRun } from "./run.ts";

/** A caller whose gateway is gone. */
const GATEWAY_GONE = ["ECONNRESET", "ECONNREFUSED", "EPIPE", "BROKEN"];
/** A caller while Redis cannot be used, and one whose answer was on its way through it. */
const REDIS_GONE = ["QUEUE_UNAVAILABLE", "BROKEN", "BODY_LOST", "OVERLOADED"];
const WORKER_GONE = ["WORKER_LOST", "BROKEN", "BODY_LOST"];
const CLOCK_OFF_MS = 31_000;
const DEPLOYS = { ...USUAL, deploy: 0.3 };
/** Large bodies would fill the small disk by themselves. */
const SMALL: Partial<Record<KindName, number>> = { get: 7, slow: 1, error: 1 };

export const RUNS: readonly ChaosRun[] = [
  {
    ...{ name: "kill-sandbox", what: "kill -9 of all sandboxes of a worker with calls" },
    ...{ fault: faults.killSandboxes, may: ["KILLED", "SANDBOX_LOST", "BROKEN"] },
  },
  {
    ...{ name: "kill-zygote", what: "kill -9 of the zygote of a worker with calls" },
    ...{ fault: faults.killZygote, may: ["SANDBOX_LOST", "SANDBOX_UNAVAILABLE", "BROKEN"] },
  },
  {
    ...{ name: "kill-worker", what: "kill -9 of a worker with calls" },
    ...{ fault: faults.killWorker, may: WORKER_GONE },
  },
  {
    ...{ name: "kill-gateway", what: "kill -9 of one of two gateways", site: { gateways: 2 } },
    ...{ fault: faults.killGateway, may: GATEWAY_GONE },
  },
  {
    ...{ name: "kill-redis", what: "kill -9 of Redis, which starts again at once" },
    ...{ fault: faults.killRedis, may: REDIS_GONE },
  },
  {
    ...{ name: "kill-builder", what: "kill -9 of each bundler while functions are deployed", mix: DEPLOYS },
    ...{ fault: faults.killBuilders, may: ["BUILD_UNAVAILABLE"] },
  },
  {
    ...{ name: "power-loss", what: "kill -9 of everything at once, then a start on the same data" },
    ...{ fault: faults.losePower, may: [...GATEWAY_GONE, ...REDIS_GONE, ...WORKER_GONE] },
  },
  {
    ...{ name: "no-worker", what: "all workers are gone for a while" },
    ...{ fault: faults.loseWorkers, may: [...WORKER_GONE, "NO_WORKER", "EXPIRED", "NO_ANSWER", "OVERLOADED"] },
  },
  {
    ...{ name: "stop-redis", what: "Redis is stopped (SIGSTOP), then continued" },
    ...{ fault: faults.stopRedis, may: REDIS_GONE },
  },
  {
    ...{ name: "stop-worker", what: "one of two workers is stopped (SIGSTOP), then continued" },
    ...{ fault: faults.stopWorker, may: WORKER_GONE },
  },
  {
    ...{ name: "stop-only-worker", what: "the only worker is stopped, then continued", site: { workers: 1 } },
    ...{ fault: faults.stopWorker, may: [...WORKER_GONE, "NO_WORKER", "EXPIRED", "OVERLOADED"] },
  },
  {
    ...{ name: "stop-gateway", what: "one of two gateways is stopped, then continued", site: { gateways: 2 } },
    ...{ fault: faults.stopGateway, may: ["BROKEN", "NO_ANSWER"] },
  },
  {
    ...{ name: "full-redis", what: "Redis has no memory for anything new, then has" },
    ...{ fault: faults.fillRedis, may: REDIS_GONE },
  },
  {
    ...{ name: "full-disk", what: "the disk of Redis' file is full, then has room" },
    ...{ fault: faults.fillDisk, may: REDIS_GONE, mix: SMALL, site: { smallDisk: true }, apart: true },
  },
  {
    ...{ name: "restore", what: "Redis starts from a backup while gateways and workers live" },
    ...{ fault: faults.restoreBackup, may: REDIS_GONE },
  },
  {
    ...{ name: "hang-otlp", what: "the endpoint that spans are sent to hangs", site: { traced: true } },
    ...{ fault: faults.hangCollector, may: [], noErrors: true },
  },
  {
    ...{ name: "cut-worker", what: "the network between a worker and Redis is cut, then healed" },
    ...{ fault: faults.cutNetwork, may: WORKER_GONE, site: { far: "worker 0" }, apart: true },
  },
  {
    ...{ name: "cut-gateway", what: "the network between the gateway and Redis is cut, then healed" },
    ...{ fault: faults.cutNetwork, may: REDIS_GONE, site: { far: "gateway 0" }, apart: true },
  },
  ...(["workers", "gateways"] as const).flatMap((kind): ChaosRun[] => [
    {
      ...{ name: `${kind}-clock-ahead`, what: `the clock of the first of the ${kind} is 31 s ahead, then right` },
      ...{ fault: faults.setClock(kind, CLOCK_OFF_MS), may: [], site: { clocks: true }, noErrors: true },
    },
    {
      ...{ name: `${kind}-clock-behind`, what: `the clock of the first of the ${kind} is 31 s behind, then right` },
      ...{ fault: faults.setClock(kind, -CLOCK_OFF_MS), may: [], site: { clocks: true }, noErrors: true },
    },
  ]),
  {
    ...{ name: "rolling-restart", what: "two workers and two gateways, installed, are restarted one by one" },
    ...{ fault: faults.rollingRestart, may: [], noErrors: true, mix: DEPLOYS },
    ...{ site: { gateways: 2, installed: true }, apart: true },
  },
  {
    ...{ name: "upgrade", what: "everything but Redis ends, and starts from other code on the same data" },
    ...{ fault: faults.upgrade, may: [...GATEWAY_GONE, "SHUTTING_DOWN", "NO_WORKER"] },
  },
  {
    ...{ name: "soak", what: "no fault: a mixed load, with functions that exit and deployments" },
    ...{ fault: faults.nothing, may: [], noErrors: true, mix: { ...DEPLOYS, exit: 0.2 } },
  },
];
