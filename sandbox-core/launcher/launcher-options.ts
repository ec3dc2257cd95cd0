/** How a launcher replaces its zygotes, and whom it tells. */
import type { ZygoteStarterOptions } from "./zygote-starter.ts";

/** When a zygote is replaced by a new one. */
export interface Renewal {
  /** After so many forks. */
  forks: number;
  /** After so long, if it has forked at all. */
  ageMs: number;
}

export const DEFAULT_RENEWAL: Renewal = { forks: 5_000, ageMs: 1_800_000 };

export interface ZygoteLauncherOptions extends ZygoteStarterOptions {
  /** `DEFAULT_RENEWAL` unless given. */
  renewal?: Renewal;
  /** Told of a renewal or a start that failed, and is tried again. */
  onTrouble?: (message: string, cause: unknown) => void;
  /** Told of each zygote that has ended after it served. */
  onZygoteEnd?: (end: ZygoteEnd) => void;
  /** Says whether the machine is short of memory for TCP; it is looked at unless given. */
  isShortOfTcp?: () => boolean;
}

/** The end of a zygote, and how many sandboxes ended with it. */
export interface ZygoteEnd {
  pid: number;
  reason: string;
  /** Whether it was to end: renewed, or closed with its launcher. */
  planned: boolean;
  sandboxes: number;
}
