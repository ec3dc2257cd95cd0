/** Processes in control groups, for tests that need no sandbox around them. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import type { CgroupDriver, GroupLimits } from "../../sandbox-core/cgroup/driver.ts";

/** A shell's work for a moment. */
export const SPIN = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";

/**
 * Arguments of a shell that is a fork bomb: whoever is refused a fork ends, and what sleeps by then
 * stays, so that a third of the limit is in use however late somebody looks.
 */
export function forkBomb(sleep = "sleep"): string[] {
  const bomb = 'bomb() { "$@" & "$@" & "$@" & bomb "$@" & bomb "$@" & }';
  return ["-c", `${bomb}; bomb "$@" & exec "$@"`, "sh", sleep, "1000"];
}

/** A process that joins the group by itself and then becomes `command`. */
export function inGroup(
  driver: CgroupDriver,
  group: string,
  limits: GroupLimits,
  command: readonly string[],
): ChildProcessByStdio<null, Readable, null> {
  const join = driver.joinFiles(group, limits).map((file) => `echo 0 > ${file}`);
  const script = [...join, 'exec "$@"'].join(" && ");
  return spawn("/bin/sh", ["-c", script, "sh", ...command], { stdio: ["ignore", "pipe", "ignore"] });
}
