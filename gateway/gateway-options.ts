/** What a gateway is told at its start, and what whoever started it has of it. */
import type { MasterKeys } from "../functions/secrets/master-keys.ts";
import type { Config } from "../infra/config.ts";
import type { Logger } from "../infra/log.ts";
import type { ClientLimits } from "./http/clients.ts";
import type { GatewayMetrics } from "./metrics.ts";

export type GatewayConfig = Pick<
  Config,
  | "host"
  | "port"
  | "publicUrl"
  | "functionDomain"
  | "gatewayHosts"
  | "dataDir"
  | "replyAddress"
  | "artifactsDir"
  | "uploadQuotaBytes"
  | "maxBodyBytes"
  | "maxHeaderBytes"
  | "queueWaitMs"
  | "leaveMs"
  | "records"
  | "accessLog"
  | "bootstrapKeyFile"
  | "egress"
  | "jwksPrivateNetworks"
  | "quotas"
  | "domains"
  | "keepVersions"
  | "keepVersionsMs"
  | "gcGraceMs"
  | "gcIntervalMs"
> &
  ClientLimits & {
    /** The keys of data keys; see openDataKeys for whether they are those of this Redis. */
    masterKeys: MasterKeys;
  };

export interface Gateway {
  /** Where it listens. */
  readonly url: string;
  readonly port: number;
  /**
   * Says that it is not ready, and serves on for `leaveMs`; then takes no more calls, lets those in
   * flight end, and releases everything.
   */
  drain(): Promise<void>;
  /** Releases everything now. */
  stop(): Promise<void>;
}

export interface GatewayOptions {
  /** Whether a trace may be recorded that no client began. */
  recordsRoots?: boolean;
  /** Gets the lines of calls. */
  access?: Logger;
  /** Counts calls, and is told what is asked for at a scrape. */
  metrics?: GatewayMetrics | undefined;
}
