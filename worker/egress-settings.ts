/** The settings of a worker's relay, and the platform's own hosts, which no function reaches. */
import { networkInterfaces } from "node:os";
import type { Config } from "../infra/config.ts";
import { parseRedisUrl } from "../infra/redis-url.ts";
import type { EgressRelaySettings } from "../sandbox-core/index.ts";

type OwnHosts = Pick<Config, "redisUrl" | "host" | "port" | "publicUrl" | "replyAddress" | "gatewayMetrics">;

/**
 * @param onTrouble told when the relay died, or cannot be started
 * @param onFailure told of the same, to be counted
 */
export function relaySettings(
  config: Config,
  onTrouble: (message: string, cause: unknown) => void,
  onFailure: () => void = () => {},
): EgressRelaySettings {
  const { hostsFile, nameServers, caFile, mostConnections, tenantLimits } = config.worker.egressRelay;
  return {
    platform: platformHosts(config, config.worker.workerMetrics),
    connections: mostConnections,
    tenantLimits,
    ...(hostsFile !== null && { hostsFile }),
    ...(caFile !== null && { caFile }),
    ...(nameServers.length > 0 && { nameServers }),
    onTrouble: (message, cause) => {
      onFailure();
      onTrouble(message, cause);
    },
  };
}

/** Redis and the gateway as the configuration names them, and on all addresses of this machine. */
function platformHosts(config: OwnHosts, workerMetrics: string) {
  const redis = parseRedisUrl(config.redisUrl);
  const named = [
    ...(redis.host === undefined ? [] : [{ host: redis.host, port: redis.port ?? 6379 }]),
    ...(config.publicUrl === null ? [] : [ofUrl(config.publicUrl)]),
    { host: config.host, port: config.port },
    ...(config.replyAddress === null ? [] : [config.replyAddress]),
  ];
  const metricsPorts = [config.gatewayMetrics, workerMetrics].map((listener) => Number(listener.split(":").at(-1)));
  const ports = [...named.map(({ port }) => port), ...metricsPorts].filter((port) => port > 0);
  const own = Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address));
  return [...named, ...own.flatMap((host) => ports.map((port) => ({ host, port })))];
}

function ofUrl(text: string): { host: string; port: number } {
  const { hostname, port, protocol } = new URL(text);
  return { host: hostname.replace(/^\[(.*)\]$/, "$1"), port: Number(port || (protocol === "https:" ? 443 : 80)) };
}
