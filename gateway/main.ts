/** The gateway's process. */
import { randomUUID } from "node:crypto";
import { storeSpans } from "../functions/traces.ts";
import { loadConfig } from "../infra/config.ts";
import { createLogger } from "../infra/log.ts";
import { connectRedis } from "../infra/redis.ts";
import { runService } from "../infra/service.ts";
import { startTelemetry } from "../infra/telemetry.ts";
import { startGateway } from "./gateway.ts";

const log = createLogger({ service: "gateway" });

await runService(log, async () => {
  const config = loadConfig();
  const redis = connectRedis(config.redisUrl, "gateway", { log });
  const telemetry = startTelemetry({
    service: "gateway",
    instanceId: randomUUID(),
    onSpans: (spans) => storeSpans(redis, spans),
  });
  const gateway = await startGateway(config, redis, log);
  log.info("listening", { url: gateway.url });
  const end = async (ended: Promise<void>): Promise<void> => {
    await ended;
    await telemetry.shutdown();
    redis.disconnect();
  };
  return {
    facts: { url: gateway.url, port: gateway.port },
    drain: () => end(gateway.drain()),
    stop: () => end(gateway.stop()),
  };
});
