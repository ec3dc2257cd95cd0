/** The parts of an instance. */
import type { Version } from "../../functions/model/version.ts";
import type { Sandbox, WorkLimits } from "../../sandbox-core/index.ts";
import type { VersionEnvironment } from "../code/environments.ts";
import type { SandboxConnections } from "./egress.ts";
import type { InstanceLogs } from "./logs.ts";
import type { NetworkHint } from "./network-hint.ts";

/** Parts of an instance, and what they are for; `Successor` is an instance. */
export interface InstanceParts<Successor> {
  sandbox: Sandbox;
  version: Version;
  environment: VersionEnvironment;
  logs: InstanceLogs;
  successor?: (() => Promise<Successor>) | null;
  /** Of what comes before the first call. */
  limits: WorkLimits;
  networkHint?: NetworkHint;
  egress: SandboxConnections | null;
}

/** Further parts of an instance that is loaded. */
export interface LoadOptions {
  /** Limits of what comes before the first call, in forks of it as well. */
  limits?: WorkLimits;
  /** The version's, opened; without it what the version has in clear. */
  environment?: VersionEnvironment;
  /** Its outgoing connections, which forks of it share. */
  egress?: SandboxConnections | null;
}
