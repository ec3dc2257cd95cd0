/** The parts that every handler of the control API can reach. */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { HttpBindings } from "@hono/node-server";
import type { Redis } from "ioredis";
import type { EgressDefaults } from "../../functions/model/egress-grants.ts";
import type { QuotaDefaults } from "../../functions/model/quotas.ts";
import type { KeyUses } from "../../functions/store/api-keys.ts";
import type { FileArtifactStore } from "../../functions/store/artifacts.ts";
import type { DataKeys } from "../../functions/store/data-keys.ts";
import type { ProvenDomains } from "../../functions/store/domains/proven-domains.ts";
import type { Collector } from "../../functions/store/gc.ts";
import type { Registry } from "../../functions/store/registry.ts";
import type { SecretStore } from "../../functions/store/secrets.ts";
import type { SigningKeys } from "../../functions/store/signing-keys.ts";
import type { Principal } from "../../functions/store/tenant.ts";
import type { TenantStops } from "../../functions/store/tenant-stops.ts";
import type { UploadQuota } from "../../functions/store/upload-quota.ts";
import type { BuildQueue } from "../../functions/transport/build-queue.ts";
import type { CheckQueue } from "../../functions/transport/check-queue.ts";
import type { CurrentVersions } from "../call/current-versions.ts";
import type { Budget } from "../http/budget.ts";
import type { Hosts } from "../http/hosts.ts";
import type { Origins } from "../http/origins.ts";
import type { GatewayQuotas } from "../limits/quotas.ts";
import type { KeyedTurns } from "./turns.ts";

/** hono's type parameters for this API. */
export interface Environment {
  Bindings: HttpBindings;
  Variables: { requestId: string; principal: Principal; auditTarget?: AuditTarget };
}

/** The target of an act that the request does not name, as it was made. */
export interface AuditTarget {
  target: string;
  /** Whom it concerns, when it is not the key's own tenant. */
  tenant?: string;
}

/** The function that an event is for. */
export interface EventTarget {
  tenant: string;
  functionName: string;
}

/** Tenants' domains, and what their proofs need. */
export interface DomainParts {
  proven: ProvenDomains;
  /** By tenant: who may ask the DNS now. */
  turns: KeyedTurns;
  /** Address and port of the DNS resolver; null: the machine's. */
  resolver: string | null;
  /** Most domains of a tenant. */
  max: number;
}

export interface ControlParts {
  redis: Redis;
  registry: Registry;
  keyUses: KeyUses;
  /** The tenants that are suspended or deleted. */
  stops: TenantStops;
  artifacts: FileArtifactStore;
  collector: Collector;
  quota: UploadQuota;
  secrets: SecretStore;
  dataKeys: DataKeys;
  /** For commands that take long, as those of collections, backups and restores. */
  bulk: Redis;
  signingKeys: SigningKeys;
  builds: BuildQueue;
  checks: CheckQueue;
  /** By tenant: who may ask for a build or a check now. */
  buildTurns: KeyedTurns;
  /** One source tree is put together at a time: it may take 128 MiB while that is done. */
  treeTurns: KeyedTurns;
  versions: CurrentVersions;
  domains: DomainParts;
  /** Memory that all request bodies being read may hold together. */
  uploads: Budget;
  /** Grants that count for the outgoing connections of all tenants. */
  egressDefaults: EgressDefaults;
  /** The address of whoever sent a request. */
  addressOf: (request: IncomingMessage) => string;
  /** Limits of tenants for which nobody set another. */
  quotaDefaults: QuotaDefaults;
  /** Limits of tenants, as the gateway knows them. */
  quotas: GatewayQuotas;
  /** How many calls of a tenant, or of one function of it, wait in this gateway. */
  callsWaiting: (tenant: string, functionName?: string) => number;
  /** How long a call may wait for a worker. */
  queueWaitMs: number;
  /** Whether calls can be taken now. */
  accepting: () => boolean;
  /** Whether the gateway has been told to end. */
  leaving: () => boolean;
  origins: Origins;
  hosts: Hosts;
  /** Calls a function with the body of a request as its event, and answers with the result. */
  sendEvent: (request: IncomingMessage, response: ServerResponse, to: EventTarget) => Promise<void>;
  /** Ends when the gateway shuts down. */
  closing: AbortSignal;
  onInternalError: (error: unknown, requestId: string) => void;
}
