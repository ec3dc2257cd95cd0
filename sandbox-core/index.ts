/** All of the library that others use. Nothing inside imports this file. */
export { type Attestation, badAllowances, MissingWallsError } from "./attest/attest.ts";
export { Box, type BoxResult, type BoxRunOptions } from "./box/box.ts";
export { type BoxBind, type BoxOptions, DEFAULT_BOX_LIMITS } from "./box/command.ts";
export { type BoxEgress, DEFAULT_BOX_EGRESS_LIMITS } from "./box/egress.ts";
export type { BoxEnd, BoxOutcome } from "./box/outcome.ts";
export type { Terminal } from "./box/terminal.ts";
export { Zygote, type ZygoteSettings } from "./box/zygote.ts";
export { AllSandboxes } from "./cgroup/all-sandboxes.ts";
export {
  type EgressEvent,
  type EgressInjection,
  type EgressLimits,
  type EgressPolicy,
  type EgressRefusal,
  type EgressRule,
  type EgressSockets,
  type EgressTarget,
  type EgressVerdict,
  MOST_EGRESS_PORTS,
  MOST_EGRESS_RULES,
  type SandboxEgress,
  type SandboxInjector,
} from "./contract/egress.ts";
export type { EgressRelaying } from "./contract/egress-relay.ts";
export { CgroupsError, EgressSocketsError, SandboxError, StartFailure } from "./contract/error.ts";
export { isOwnerAlive, ownerName } from "./contract/owner.ts";
export type * from "./contract/sandbox.ts";
export { MOST_FORK_SLOTS } from "./contract/task-limit.ts";
export { type LauncherOptions, nodeProgram, openLauncher, programBinds, programPath } from "./host/open.ts";
export { tryIsolation } from "./host/trial.ts";
export { EgressRelay, type EgressRelaySettings } from "./launcher/egress-relay.ts";
export type { ZygoteLauncher } from "./launcher/launcher.ts";
export type { ZygoteEnd } from "./launcher/launcher-options.ts";
export { type ProgramResult, type ProgramRun, runProgram } from "./launcher/run-program.ts";
export { describeOverrun, type Overrun, type WorkLimits, WorkWatch } from "./launcher/work-limit.ts";
