/** The gateway's process. */
import { randomUUID } from "node:crypto";
import { MasterKeyError, MasterKeys } from "../functions/secrets/master-keys.ts";
import { storeSpans } from "../functions/store/traces.ts";
import { DEGRADED_ATTRIBUTE } from "../functions/store/workers.ts";
import { loadConfig } from "../infra/config.ts";
import { createLogger } from "../infra/log.ts";
import { readMasterKeys, unfitOn } from "../infra/master-keys.ts";
import { connectRedis } from "../infra/redis.ts";
import { requireDurableRedis } from "../infra/redis-durability.ts";
import { runService } from "../infra/service.ts";
import { serveMetrics } from "../infra/telemetry/metrics-server.ts";
import { startTelemetry } from "../infra/telemetry/telemetry.ts";
import { Fleet } from "./fleet.ts";
import { startGateway } from "./gateway.ts";
import { GatewayMetrics } from "./metrics.ts";

/** A gateway that finds no Redis in this time ends, so that whoever starts it again says so. */
const REDIS_LIMIT_MS = 10_000;

const log = createLogger({ service: "gateway" });

await runService(log, async () => {
  const config = loadConfig();
  const redis = connectRedis(config.redisUrl, "gateway", { log });
  const signal = AbortSignal.timeout(REDIS_LIMIT_MS);
  await requireDurableRedis(redis, { allowed: config.allowRedis, log, signal });
  const masterKeys = await readMasterKeys(config.masterKeySource).then(MasterKeys.parse).catch(unfitOn(MasterKeyError));
  const telemetry = startTelemetry({
    service: "gateway",
    instanceId: randomUUID(),
    onSpans: (spans) => storeSpans(redis, spans),
  });
  // Asked for, they are wanted whatever the level is.
  const access = config.accessLog === "all" ? createLogger({ service: "gateway", level: "info", storms: null }) : log;
  const metrics = new GatewayMetrics(config.metricsMaxFunctions);
  const { recordsRoots } = telemetry;
  const gateway = await startGateway({ ...config, masterKeys }, redis, log, { recordsRoots, access, metrics });
  const { gatewayMetrics: listen, metricsKeyFile: keyFile } = config;
  const figures = await serveMetrics({ listen, keyFile, registry: metrics.registry, log });
  log.info("listening", { url: gateway.url });
  const fleet = new Fleet(redis, log, (walls) =>
    telemetry.describe(walls.length > 0 ? { [DEGRADED_ATTRIBUTE]: walls } : {}),
  );
  await fleet.start();
  const end = async (ended: Promise<void>): Promise<void> => {
    await ended;
    fleet.stop();
    figures.close();
    await telemetry.shutdown();
    redis.disconnect();
  };
  return {
    facts: { url: gateway.url, port: gateway.port },
    drain: () => end(gateway.drain()),
    stop: () => end(gateway.stop()),
  };
});
