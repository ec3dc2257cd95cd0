/** How a generation starts, and what it shares with others. */
import type { CgroupDriver } from "../cgroup/driver.ts";
import type { Program } from "../contract/program.ts";
import type { ZygoteOptions } from "../protocol/control.ts";
import type { Receiver } from "./socket-receiver.ts";
import type { WorkLimits } from "./work-limit.ts";

export interface GenerationOptions {
  /** Started in each sandbox instead of the runtime that the zygote holds. */
  runtime?: Program;
  /** The most that the zygote's start may take, unless it is the usual. */
  startLimits?: WorkLimits;
  nodeFlags: readonly string[];
  /** Whether its next sandbox is made whole ahead of the launch. */
  sandboxesAhead: boolean;
  zygote: ZygoteOptions;
  receiver: Receiver;
  cgroups: CgroupDriver;
}
