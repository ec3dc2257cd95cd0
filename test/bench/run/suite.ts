/** What a suite is, and what it gives. */

import type { Prediction } from "../measure/model.ts";
import type { RatioSummary, Summary } from "../measure/stats.ts";
import type { Peers } from "../peers/peers.ts";
import type { Plan } from "./plan.ts";

export type Unit = "ms" | "per s" | "MiB per s" | "MiB" | "objects" | "per GiB" | "faults" | "pages" | "calls";

/** One measured quantity of one contender. */
export interface Row extends Summary {
  suite: string;
  name: string;
  unit: Unit;
  /**
   * The chart that the row belongs to, and its label there: rows of one chart are compared with
   * each other.
   */
  chart: string;
  label: string;
  /** Whether Sandpiper is measured here, and not something that it is compared with. */
  ours: boolean;
}

/** One contender against a floor of the same run. */
export interface Ratio extends RatioSummary {
  suite: string;
  name: string;
  unit: Unit;
}

/**
 * Where the time of calls goes: processor time of each process, and Redis commands, for one call.
 */
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
  /** Predictions for larger machines, by the model of measure/model.ts. */
  predictions: Prediction[];
  /** What was not measured, and why. */
  notes: string[];
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

export type OpenSuite = (plan: Plan, peers: Peers) => Promise<Suite>;
