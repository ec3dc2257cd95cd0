/**
 * What Sandpiper asks of control groups, whichever version the kernel has. Groups are named by a path relative to the
 * root of every hierarchy: "sandpiper/<zygote>/<sandbox>". Only groups below "sandpiper" are ever made or removed.
 */
import type { SandboxLimits, SandboxUsage } from "../index.ts";

/** The group that all of ours are below. */
export const ROOT_GROUP = "sandpiper";

export type GroupLimits = Pick<SandboxLimits, "memoryBytes" | "cpus" | "pids">;

/** Reads the figures of one group again and again, cheaply: its files stay open. */
export interface Meter {
  /** Figures as of now, or the last ones once the group is gone. */
  read(): { cpuMs: number; peakMemoryBytes: number };
  close(): void;
}

export interface CgroupDriver {
  readonly version: 1 | 2;
  /** Makes a group that only holds other groups. */
  createParent(path: string): void;
  /** Makes a group with limits. @throws when the kernel refuses one: a sandbox without its limits must not exist. */
  create(path: string, limits: GroupLimits): void;
  /** The files to which a single-threaded process writes "0" to join the group itself. */
  joinFiles(path: string): string[];
  usage(path: string): SandboxUsage;
  openMeter(path: string): Meter;
  /** Process ids of everything in the group. */
  members(path: string): number[];
  /** Names of the groups right below. */
  children(path: string): string[];
  /** Removes the group; does nothing when it is gone. @throws EBUSY while a process is in it. */
  remove(path: string): void;
}
