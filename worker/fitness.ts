/** Whether a worker may serve on this machine, with what its operator allows it to do without. */
import { denyProblems } from "../functions/model/egress-grants.ts";
import { ConfigError } from "../infra/environment.ts";
import { UnfitError } from "../infra/service.ts";
import { AllSandboxes, badAllowances, CgroupsError, MissingWallsError } from "../sandbox-core/index.ts";

/** @throws ConfigError naming every wall that may not be missing */
export function checkAllowances(names: readonly string[]): readonly string[] {
  const problems = badAllowances(names).map((problem) => `SANDPIPER_ALLOW_DEGRADED: ${problem}`);
  if (problems.length > 0) throw new ConfigError(problems);
  return names;
}

/** @throws ConfigError naming every rule that is none */
export function checkDenied(deny: readonly string[]): void {
  const problems = denyProblems(deny);
  if (problems.length > 0) throw new ConfigError(problems);
}

/** Fails a start. @throws UnfitError when the machine lacks what no retry brings, else the error */
export function refuseToServe(error: unknown): never {
  const isUnfit = error instanceof MissingWallsError || error instanceof CgroupsError;
  throw isUnfit ? new UnfitError(error.message, { cause: error }) : error;
}

/** All sandboxes of the machine. @throws UnfitError where there can be none */
export function allSandboxes(weight: number | null): AllSandboxes {
  try {
    return new AllSandboxes({ weight: weight ?? undefined });
  } catch (error) {
    return refuseToServe(error);
  }
}
