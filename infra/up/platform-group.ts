/** Gateway, workers and Redis in a control group that sandboxes do not outweigh. */
import { detectCgroups } from "../../sandbox-core/cgroup/detect.ts";
import type { CgroupDriver } from "../../sandbox-core/cgroup/driver.ts";
import { PlatformGroup, whyNotMoved } from "../../sandbox-core/cgroup/platform-group.ts";

export interface OpenPlatformGroup {
  /** Moves a process there, with what it starts from now on; a refusal is noted. */
  add(pid: number): void;
  close(): Promise<void>;
}

/**
 * The group of this process's children; null where there can be none, which is noted: everything
 * works without, and calls wait longer beside functions that burn processors.
 */
export function openPlatformGroup(note: (text: string) => void, driver = driverHere()): OpenPlatformGroup | null {
  // The worker says what it lacks.
  if (driver === null) return null;
  const refused = (why: string) =>
    note(
      `warning: functions that burn processors make all calls slow, as gateway, workers and Redis have no control group of their own: ${why}`,
    );
  const why = whyNotMoved(driver);
  if (why !== null) {
    refused(why);
    return null;
  }
  try {
    const group = PlatformGroup.open(driver);
    const add = (pid: number) => attempt(() => group.add(pid), refused);
    return { add, close: () => group.close() };
  } catch (error) {
    refused((error as Error).message);
    return null;
  }
}

function attempt(work: () => void, refused: (why: string) => void): void {
  try {
    work();
  } catch (error) {
    refused((error as Error).message);
  }
}

function driverHere(): CgroupDriver | null {
  try {
    return detectCgroups();
  } catch {
    return null;
  }
}
