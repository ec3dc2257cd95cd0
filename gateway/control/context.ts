/** The parts that every handler of the control API can reach. */

import type { IncomingMessage } from "node:http";
import type { HttpBindings } from "@hono/node-server";
import type { Redis } from "ioredis";
import type { ArtifactStore } from "../../functions/store/artifacts.ts";
import type { Collector } from "../../functions/store/gc.ts";
import type { Registry } from "../../functions/store/registry.ts";
import type { Principal } from "../../functions/store/tenant.ts";
import type { BuildQueue } from "../../functions/transport/build-queue.ts";
import type { CurrentVersions } from "../call/current-versions.ts";
import type { Budget } from "../http/budget.ts";
import type { KeyedTurns } from "./turns.ts";

/** hono's type parameters for this API. */
export interface Environment {
  Bindings: HttpBindings;
  Variables: { requestId: string; principal: Principal };
}

export interface ControlParts {
  redis: Redis;
  registry: Registry;
  artifacts: ArtifactStore;
  collector: Collector;
  builds: BuildQueue;
  /** By tenant: who may ask for a build now. */
  buildTurns: KeyedTurns;
  versions: CurrentVersions;
  /** Memory that all request bodies being read may hold together. */
  uploads: Budget;
  /** Whether calls can be taken now. */
  accepting: () => boolean;
  /** Whether the gateway has been told to end. */
  leaving: () => boolean;
  /** Where clients reach this gateway, as they see it. */
  baseUrl: (request: IncomingMessage) => string;
  /** Ends when the gateway shuts down. */
  closing: AbortSignal;
  onInternalError: (error: unknown, requestId: string) => void;
}
