/** Settings and parts of a pool. */

import type { Version } from "../../functions/model/version.ts";
import type { TenantSettings } from "../../functions/store/limits/tenant-settings.ts";
import type { EgressSockets, ForkableSandbox, Sandbox, SandboxExit, SandboxLimits } from "../../sandbox-core/index.ts";
import type { Instance } from "../instance/instance.ts";
import type { Template } from "../instance/template.ts";
import type { CapacityLimits } from "./capacity.ts";
import type { MachineProcessors } from "./tenant-weights.ts";
import type { Demand } from "./waiting-call.ts";
import type { ZygoteSharing } from "./zygote-key.ts";
import type { Zygotes } from "./zygotes.ts";

export interface PoolOptions {
  zygotes: Zygotes;
  limits: CapacityLimits;
  /** Limits of one sandbox of a class. */
  limitsOf(memoryMiB: number): SandboxLimits;
  /** Whether tenants share zygotes. */
  zygoteSharing: ZygoteSharing;
  /**
   * Blank sandboxes kept ready of the class that most functions use; one is kept of every other
   * class in use. Where tenants share no zygotes, one is kept of every class and tenant in use.
   */
  prewarmed: number;
  prewarmedMemoryMiB: number;
  /** Most of its sandboxes and of its memory that a worker keeps warm, in percent. */
  warmPercent: number;
  /** Longest time that an instance stays loaded without a call. */
  idleMs: number;
  /**
   * The sockets that a sandbox is launched with which is made for a version; without, all are
   * launched with none, and `load` has them made. @throws CallFailure EGRESS_UNAVAILABLE
   */
  egressOf?(version: Version): Promise<EgressSockets | undefined>;
  /**
   * Loads the version of a demand into a blank sandbox. @throws CallFailure when it cannot be
   * loaded.
   */
  load(sandbox: ForkableSandbox, demand: Demand): Promise<Instance>;
  /**
   * Makes a template of an instance that was slow to load, or says that there can be none: null.
   * @throws CallFailure
   */
  makeTemplate(pooled: Instance, demand: Demand): Promise<Template | null>;
  /** Weights and limits of tenants; without them all weigh the same, and none has a limit. */
  tenants?: Pick<TenantSettings, "weightOf" | "of">;
  /** All sandboxes of the machine; without them, nobody is taken to burn processors. */
  machine?: MachineProcessors;
  /** Told of each sandbox that was made, and how long that took. */
  onLaunched?(tookMs: number): void;
  /** Told of each sandbox that has ended; null: it was killed, and nobody saw its end. */
  onSandboxEnd?(sandbox: Sandbox, exit: SandboxExit | null): void;
  /** Told of whatever no call hears about. */
  onTrouble(message: string, cause?: unknown): void;
}

/** Figures of the pool at the moment. */
export interface PoolSnapshot {
  sandboxes: number;
  memoryBytes: number;
  blank: number;
  starting: number;
  busy: number;
  free: number;
  waiting: number;
  /** Instances that should be kept warm, and how many of them are there. */
  wantedWarm: number;
  warm: number;
}
