/**
 * The contract of control groups, whichever version the kernel has. Groups are named by a path
 * relative to the root of every hierarchy: "sandpiper/<zygote>-<host user>". Only groups below
 * "sandpiper" are ever made or removed.
 */
import type { SandboxLimits, SandboxReading, SandboxStats, SandboxUsage } from "../contract/sandbox.ts";

/** The group that all of ours are below. */
export const ROOT_GROUP = "sandpiper";

/** The limits that control groups keep; the others are the file system's. */
export type GroupLimits = Omit<SandboxLimits, "tmpBytes" | "tmpInodes">;

/** The limits that a machine may be unable to keep. */
export type OptionalLimit = "memoryHighBytes" | "cpuWeight" | "ioReadBps" | "ioWriteBps" | "ioReadIops" | "ioWriteIops";

/** Reads the figures of one group cheaply, again and again: its files stay open. */
export interface Meter {
  /** Figures as of now, or the last ones once the group is gone or this is closed. */
  read(): SandboxReading;
  /**
   * Before the group is removed, if that can be: the kernel keeps a removed group's directory in
   * mind for a file that was open.
   */
  close(): void;
}

export interface CgroupDriver {
  readonly version: 1 | 2;
  /** Why a limit cannot be kept here, for those that cannot. */
  readonly lacks: Partial<Record<OptionalLimit, string>>;
  /** How sandboxes are frozen, or null when they cannot be. */
  readonly freezes: "cgroup.freeze" | "freezer" | null;
  /** Makes a group that only holds other groups. */
  createParent(path: string): void;
  /** The group's share of the processors against its neighbours, 1 to 10,000; 100 is usual. */
  cpuWeight(path: string): number;
  /** @throws where the group is idle: it has no weight then */
  setCpuWeight(path: string, weight: number): void;
  /** Whether the group runs only while none of its neighbours wants a processor. */
  isCpuIdle(path: string): boolean;
  /**
   * Has the group run only while none of its neighbours wants a processor, or with the usual weight
   * again. A kernel before 5.15 has no such groups, and this one gets the least weight.
   */
  setCpuIdle(path: string, isIdle: boolean): void;
  /**
   * Makes a group with limits.
   * @throws when the kernel refuses one: a sandbox without its limits must not exist.
   */
  create(path: string, limits: GroupLimits): void;
  /**
   * The files to which a single-threaded process writes "0" to join a group that was made with
   * these limits.
   */
  joinFiles(path: string, limits: GroupLimits): string[];
  usage(path: string): SandboxUsage;
  /**
   * How many of its processes the kernel killed for want of memory: one file. 0 when the group is
   * gone.
   */
  oomKills(path: string): number;
  stats(path: string): SandboxStats;
  meter(path: string): Meter;
  /**
   * Stops everything in the group.
   * @throws CgroupsError when something goes on after two seconds.
   */
  freeze(path: string): Promise<void>;
  thaw(path: string): void;
  /**
   * Sends SIGKILL to everything in the group, so that nothing new is born meanwhile. Its tasks end
   * soon after.
   */
  kill(path: string): void;
  /**
   * Lets tasks that were killed end: thaws those that version 1's freezer holds, and lifts the
   * limits on disks, which hold a task that waits for its turn at one, whatever signal it has.
   */
  releaseKilled(path: string): void;
  /** Process ids of everything in the group. */
  members(path: string): number[];
  /** Ids of all threads of these. */
  threads(path: string): number[];
  /** Names of the groups right below. */
  children(path: string): string[];
  /** Removes the group; does nothing when it is gone. @throws EBUSY while a process is in it. */
  remove(path: string): void;
}
