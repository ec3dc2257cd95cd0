/** Samples of one contender, kept by round, and what is said of them. */

/** What is said of a set of values, all in the unit of the values. */
export interface Summary {
  samples: number;
  median: number;
  /** The middle half of the values lies between these two. */
  p25: number;
  p75: number;
  p99: number;
  /** The median of each round, in order: shows drift, and rounds that were disturbed. */
  byRound: number[];
}

export class Samples {
  readonly #rounds: number[][] = [];

  /** Adds what one block gave. */
  addRound(values: readonly number[]): void {
    this.#rounds.push([...values]);
  }

  summary(): Summary {
    const sorted = this.#rounds.flat().sort((a, b) => a - b);
    return {
      samples: sorted.length,
      median: quantile(sorted, 0.5),
      p25: quantile(sorted, 0.25),
      p75: quantile(sorted, 0.75),
      p99: quantile(sorted, 0.99),
      byRound: this.roundMedians(),
    };
  }

  /** The median of each round, in order. */
  roundMedians(): number[] {
    return this.#rounds.map((round) =>
      quantile(
        [...round].sort((a, b) => a - b),
        0.5,
      ),
    );
  }
}

export interface RatioSummary {
  /** Median over median. */
  value: number;
  /** The middle half of the ratios that single rounds gave lies between these two. */
  p25: number;
  p75: number;
}

/** One contender's samples over another's, whose blocks were measured in the same rounds. */
export function ratioOf(contender: Samples, floor: Samples): RatioSummary {
  const floors = floor.roundMedians();
  const byRound = contender
    .roundMedians()
    .map((value, round) => value / (floors[round] ?? Number.NaN))
    .sort((a, b) => a - b);
  return {
    value: contender.summary().median / floor.summary().median,
    p25: quantile(byRound, 0.25),
    p75: quantile(byRound, 0.75),
  };
}

/**
 * The smallest value that at least this part of the values does not exceed ("nearest rank").
 * @param sorted ascending. @throws RangeError when there is none
 */
export function quantile(sorted: readonly number[], part: number): number {
  const value = sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
  if (value === undefined) throw new RangeError("there is no quantile of no values");
  return value;
}
