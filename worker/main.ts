/**
 * The worker process: takes calls from the queue and runs them in sandboxes. This file composes and
 * shuts down.
 */
import { MasterKeyError, MasterKeys } from "../functions/secrets/master-keys.ts";
import { storeSpans } from "../functions/store/traces.ts";
import { DEGRADED_ATTRIBUTE } from "../functions/store/workers.ts";
import { loadConfig } from "../infra/config.ts";
import { createLogger } from "../infra/log.ts";
import { readMasterKeys, unfitOn } from "../infra/master-keys.ts";
import { connectRedis } from "../infra/redis.ts";
import { requireDurableRedis } from "../infra/redis-durability.ts";
import { type RunningService, runService } from "../infra/service.ts";
import { serveMetrics } from "../infra/telemetry/metrics-server.ts";
import { startTelemetry } from "../infra/telemetry/telemetry.ts";
import { Worker } from "./worker.ts";

const log = createLogger({ service: "worker" });

async function start(): Promise<RunningService> {
  const config = loadConfig();
  const { workerId } = config.worker;
  const redis = connectRedis(config.redisUrl, `worker ${workerId}`, { whileAway: "wait", log });
  await requireDurableRedis(redis, { allowed: config.allowRedis, log });
  const masterKeys = await readMasterKeys(config.masterKeySource).then(MasterKeys.parse).catch(unfitOn(MasterKeyError));
  const telemetry = startTelemetry({
    service: "worker",
    instanceId: workerId,
    onSpans: (spans) => storeSpans(redis, spans),
  });
  const onDegraded = (walls: readonly string[]) => telemetry.describe({ [DEGRADED_ATTRIBUTE]: [...walls] });
  const worker = new Worker({ ...config, masterKeys }, redis, log, onDegraded);
  await worker.start();
  const { metricsKeyFile: keyFile } = config;
  const { workerMetrics: listen } = config.worker;
  const figures = await serveMetrics({ listen, keyFile, registry: worker.metrics.registry, log });
  log.info("ready to take calls", worker.facts());
  const release = async (end: Promise<void>) => {
    await end;
    figures.close();
    await telemetry.shutdown();
    redis.disconnect();
  };
  return { drain: () => release(worker.drain()), stop: () => release(worker.stop()) };
}

await runService(log, start);
