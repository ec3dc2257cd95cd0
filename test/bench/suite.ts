/** What a suite is, and what it gives. */
import type { Plan } from "./plan.ts";
import type { RatioSummary, Summary } from "./stats.ts";

export type Unit = "ms" | "per s" | "MiB" | "objects";

/** One measured quantity of one contender. */
export interface Row extends Summary {
  suite: string;
  name: string;
  unit: Unit;
}

/** One contender against a floor of the same run. */
export interface Ratio extends RatioSummary {
  suite: string;
  name: string;
  /** What is aimed at; null where nothing is. */
  target: { bound: "at most" | "at least"; value: number } | null;
  met: boolean | null;
}

/** Where the time of calls goes: processor time of each process, and Redis commands, for one call. */
export interface Cost {
  suite: string;
  name: string;
  calls: number;
  /** By process, in milliseconds of processor time for one call. */
  cpuMsPerCall: Record<string, number>;
  /** Commands that Redis ran, those inside of scripts counted; null where there is no Redis. */
  redisCommandsPerCall: number | null;
}

export interface Results {
  rows: Row[];
  ratios: Ratio[];
  costs: Cost[];
  /** What was not measured, and why. */
  notes?: string[];
}

/** Contenders and floors, set up and ready. `close` leaves nothing behind. */
export interface Suite {
  /** One short block of every contender. Only rounds with `counts` enter the results. */
  round(counts: boolean): Promise<void>;
  /** What comes once, after all rounds. */
  finish?(): Promise<void>;
  results(): Results;
  close(): Promise<void>;
}

export type OpenSuite = (plan: Plan) => Promise<Suite>;

/** Whether a ratio is what is aimed at. */
export function judged(ratio: Omit<Ratio, "met">): Ratio {
  const { target, value } = ratio;
  if (target === null) return { ...ratio, met: null };
  return { ...ratio, met: target.bound === "at most" ? value <= target.value : value >= target.value };
}
