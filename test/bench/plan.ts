/** How much a run measures. */

export interface Plan {
  /** Rounds that count. In each, every suite runs a short block of every contender. */
  rounds: number;
  /** Rounds before them that do not count, so that compilers and caches are warm. */
  warmupRounds: number;
  /** Sandboxes, and processes of the floor, that one after the other are made in a round. */
  sandboxesPerRound: number;
  /** Sandboxes, and processes of the floor, that are made in a round by two lanes. */
  sustainedPerRound: number;
  /** Boxes, JavaScript sandboxes, and commands under each other program that isolates, in a round. */
  boxesPerRound: number;
  /** How long boxes are made by two lanes without a pause. */
  sustainedMs: number;
  /** Cold calls, and processes of the floor, in a round. */
  coldCallsPerRound: number;
  /** Length of one block of warm calls. */
  warmBlockMs: number;
}

/** What docs/BENCHMARKS.md shows. */
export const FULL: Plan = {
  rounds: 20,
  warmupRounds: 3,
  sandboxesPerRound: 10,
  sustainedPerRound: 20,
  boxesPerRound: 5,
  sustainedMs: 60_000,
  coldCallsPerRound: 5,
  warmBlockMs: 500,
};

/** A look at the order of magnitude. */
export const QUICK: Plan = {
  rounds: 5,
  warmupRounds: 1,
  sandboxesPerRound: 8,
  sustainedPerRound: 10,
  boxesPerRound: 3,
  sustainedMs: 5_000,
  coldCallsPerRound: 4,
  warmBlockMs: 300,
};
