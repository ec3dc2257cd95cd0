/** How much a run measures. */

import type { BlockLength } from "../measure/child.ts";

export type SuiteName =
  | "sandbox"
  | "box"
  | "cold"
  | "warm"
  | "kinds"
  | "fresh"
  | "density"
  | "scale"
  | "trace"
  | "fair"
  | "egress";

export interface Plan {
  /** Rounds that count, at most. In each, a suite runs a short block of every contender. */
  rounds: number;
  /** Rounds that are measured however long they take. */
  leastRounds: number;
  /** Rounds before them that do not count, so that compilers and caches are warm. */
  warmupRounds: number;
  /** After this time no round of a suite begins, or sooner when the run is late. */
  roundsMs: Record<SuiteName, number>;
  /** Whether workers have the second zygotes that `npm start` gives them. */
  standbys: boolean;
  /** What all of it should take at most. */
  limitMs: number;
  /** Sandboxes, and processes of each floor, that one after the other are made in a round. */
  sandboxesPerRound: number;
  /** Sandboxes, and processes of the floor, that are made in a round by two lanes. */
  sustainedPerRound: number;
  /**
   * With how many live sandboxes beside them sandboxes are made, ascending, and in how many rounds
   * each.
   */
  live: { counts: readonly number[]; rounds: number };
  /**
   * Boxes, JavaScript sandboxes, and commands under each other program that isolates, in a round.
   */
  boxesPerRound: number;
  /**
   * How long boxes are made by two lanes without a pause, and into how many windows that is cut.
   */
  sustainedMs: number;
  sustainedWindows: number;
  /** From how many boxes their growth may be reckoned. */
  growthBoxes: number;
  /** Cold calls of each kind, and starts of node:http, in a round. */
  coldCallsPerRound: number;
  /** Starts of the other servers: in one round of so many. */
  serverStartsEvery: number;
  /** How many calls are in flight at once, ascending. */
  inFlight: readonly number[];
  /** Length of one block of warm calls, and of one of large replies. */
  warmBlockMs: number;
  payloadBlockMs: number;
  /** Length of one block of `fresh`, `trace` and `scale`. */
  blockMs: number;
  /**
   * What warms a contender up: so many calls, as what is compiled is what was called often, within
   * a time.
   */
  warmUp: BlockLength;
  /**
   * Of how many live at once the memory is taken, for sandboxes and for processes of peers; and of
   * an instance after so many calls, or as many as are made within a time. Sandboxes have been idle
   * for `idleMs` by then.
   */
  density: { sandboxes: number; processes: number; isolates: number; calls: number; callsMs: number; idleMs: number };
  /**
   * How much one transfer carries, how many sandboxes with egress live at once, and after which
   * time what they had counts as left.
   */
  egress: { bulkMiB: number; sandboxes: number; settleMs: number };
  /** How many workers, and as many gateways, are compared. */
  fleets: readonly number[];
  /**
   * How many functions of how many tenants are deployed beside the one that is called; the first is
   * the floor.
   */
  populations: readonly { functions: number; tenants: number }[];
  /** How many jobs wait in the queue before those that are measured. */
  waitingJobs: readonly number[];
}

/** The plan behind docs/BENCHMARKS.md: below 20 minutes on two cores. */
export const FULL: Plan = {
  rounds: 20,
  leastRounds: 3,
  warmupRounds: 1,
  roundsMs: {
    sandbox: 60_000,
    box: 40_000,
    cold: 120_000,
    warm: 210_000,
    kinds: 40_000,
    fresh: 40_000,
    density: 0,
    scale: 90_000,
    trace: 50_000,
    fair: 60_000,
    egress: 60_000,
  },
  standbys: true,
  limitMs: 18 * 60_000,
  sandboxesPerRound: 8,
  sustainedPerRound: 40,
  live: { counts: [100, 1_000], rounds: 4 },
  boxesPerRound: 4,
  sustainedMs: 60_000,
  sustainedWindows: 20,
  growthBoxes: 1_000,
  coldCallsPerRound: 3,
  serverStartsEvery: 2,
  inFlight: [1, 16, 64, 256],
  warmBlockMs: 400,
  payloadBlockMs: 200,
  blockMs: 500,
  warmUp: { calls: 3_000, durationMs: 5_000 },
  density: { sandboxes: 200, processes: 10, isolates: 100, calls: 200_000, callsMs: 45_000, idleMs: 15_000 },
  egress: { bulkMiB: 128, sandboxes: 1_000, settleMs: 10_000 },
  fleets: [1, 2, 4],
  populations: [
    { functions: 1, tenants: 1 },
    { functions: 100, tenants: 10 },
    { functions: 10_000, tenants: 1 },
    { functions: 10_000, tenants: 1_000 },
  ],
  waitingJobs: [0, 1_000, 10_000, 100_000],
};

/** A look at the order of magnitude: below three minutes. */
export const QUICK: Plan = {
  ...FULL,
  rounds: 5,
  leastRounds: 1,
  roundsMs: {
    sandbox: 9_000,
    box: 6_000,
    cold: 14_000,
    warm: 20_000,
    kinds: 5_000,
    fresh: 4_000,
    density: 0,
    scale: 8_000,
    trace: 5_000,
    fair: 12_000,
    egress: 9_000,
  },
  limitMs: 150_000,
  sandboxesPerRound: 4,
  sustainedPerRound: 10,
  live: { counts: [100], rounds: 2 },
  boxesPerRound: 2,
  sustainedMs: 3_000,
  sustainedWindows: 6,
  growthBoxes: 1_000,
  coldCallsPerRound: 2,
  serverStartsEvery: 3,
  inFlight: [1, 64],
  warmBlockMs: 150,
  payloadBlockMs: 80,
  blockMs: 200,
  warmUp: { calls: 600, durationMs: 1_200 },
  density: { sandboxes: 50, processes: 4, isolates: 100, calls: 2_000, callsMs: 3_000, idleMs: 10_000 },
  egress: { bulkMiB: 32, sandboxes: 100, settleMs: 5_000 },
  fleets: [1, 2],
  populations: [
    { functions: 1, tenants: 1 },
    { functions: 10_000, tenants: 1_000 },
  ],
  waitingJobs: [0, 3_000],
};

/** Everything once: shows that all of it works here. The figures mean nothing. */
export const SMOKE: Plan = {
  rounds: 1,
  leastRounds: 1,
  warmupRounds: 0,
  roundsMs: {
    sandbox: 1,
    box: 1,
    cold: 1,
    warm: 1,
    kinds: 1,
    fresh: 1,
    density: 1,
    scale: 1,
    trace: 1,
    fair: 1,
    egress: 1,
  },
  standbys: false,
  limitMs: 60_000,
  sandboxesPerRound: 2,
  sustainedPerRound: 2,
  live: { counts: [2], rounds: 1 },
  boxesPerRound: 1,
  sustainedMs: 100,
  sustainedWindows: 2,
  growthBoxes: 1,
  coldCallsPerRound: 1,
  serverStartsEvery: 1,
  inFlight: [1, 64],
  warmBlockMs: 30,
  payloadBlockMs: 10,
  blockMs: 30,
  warmUp: { calls: 1 },
  density: { sandboxes: 2, processes: 1, isolates: 2, calls: 10, callsMs: 1_000, idleMs: 1 },
  egress: { bulkMiB: 1, sandboxes: 2, settleMs: 100 },
  fleets: [2],
  populations: [{ functions: 4, tenants: 2 }],
  waitingJobs: [0, 10],
};
