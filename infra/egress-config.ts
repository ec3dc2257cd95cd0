/** Settings of the outgoing connections of a worker's functions. */
import { resolve } from "node:path";
import type { EnvironmentReader } from "./environment.ts";
import { GIB } from "./std/bytes.ts";

/** The relay of a worker, which carries the outgoing connections of its sandboxes. */
export interface EgressRelayConfig {
  /** Names that the relay knows without asking, as in hosts(5); null: /etc/hosts. */
  hostsFile: string | null;
  /** Name servers that the relay asks; none: those of the host. */
  nameServers: readonly string[];
  /** Certificates of issuers of hosts that are injected for, beside the system's; null: none. */
  caFile: string | null;
  /** Most connections of all sandboxes of a worker. */
  mostConnections: number;
  /** Limits of one tenant's sandboxes at a worker, together; without those that are not set. */
  tenantLimits: { connections?: number; connectionsPerSecond?: number; bytesPerHour?: number };
  /** Limits of one sandbox; bytes for each call. */
  limits: { connections: number; connectionsPerSecond: number; bytes: number };
}

function tenantLimits(read: EnvironmentReader): EgressRelayConfig["tenantLimits"] {
  const limit = (name: string) => read.integer(`SANDPIPER_EGRESS_MAX_TENANT_${name}`, { fallback: null, min: 1 });
  const all = {
    connections: limit("CONNECTIONS"),
    connectionsPerSecond: limit("CONNECTIONS_PER_SECOND"),
    bytesPerHour: limit("BYTES_PER_HOUR"),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null));
}

/** The part of the configuration that is about outgoing connections. */
export function egressRelayConfig(read: EnvironmentReader): EgressRelayConfig {
  const count = (name: string, fallback: number) => read.integer(name, { fallback, min: 1, max: 1_000_000 });
  const hostsFile = read.text("SANDPIPER_EGRESS_HOSTS_FILE");
  const caFile = read.text("SANDPIPER_EGRESS_CA_FILE");
  return {
    hostsFile: hostsFile && resolve(hostsFile),
    nameServers: read.words("SANDPIPER_EGRESS_NAME_SERVERS"),
    caFile: caFile && resolve(caFile),
    mostConnections: count("SANDPIPER_EGRESS_MAX_CONNECTIONS_TOTAL", 2_048),
    tenantLimits: tenantLimits(read),
    limits: {
      connections: count("SANDPIPER_EGRESS_MAX_CONNECTIONS", 64),
      connectionsPerSecond: count("SANDPIPER_EGRESS_MAX_CONNECTIONS_PER_SECOND", 50),
      bytes: read.integer("SANDPIPER_EGRESS_MAX_BYTES", { fallback: GIB, min: 1 }),
    },
  };
}
