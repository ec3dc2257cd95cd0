/** Samples of one contender, kept by round, and what is said of them. */

/** Figures of a set of values, all in the unit of the values. */
export interface Summary {
  samples: number;
  median: number;
  /** The middle half of the values lies between these two. */
  p25: number;
  p75: number;
  p99: number;
  /**
   * The median of each round that has values, in order: shows drift, and rounds that were
   * disturbed.
   */
  byRound: number[];
}

export class Samples {
  readonly #rounds: number[][] = [];

  /** Adds what one block gave; nothing, when the contender sat this round out. */
  addRound(values: readonly number[]): void {
    this.#rounds.push([...values]);
  }

  get isEmpty(): boolean {
    return this.#rounds.every((round) => round.length === 0);
  }

  summary(): Summary {
    const sorted = ascending(this.#rounds.flat());
    return {
      samples: sorted.length,
      median: quantile(sorted, 0.5),
      p25: quantile(sorted, 0.25),
      p75: quantile(sorted, 0.75),
      p99: quantile(sorted, 0.99),
      byRound: this.byRound(0.5).filter((value) => value !== null),
    };
  }

  /** A quantile of all values. */
  quantile(part: number): number {
    return quantile(ascending(this.#rounds.flat()), part);
  }

  /** A quantile of each round, in order; null where there are no values. */
  byRound(part: number): (number | null)[] {
    return this.#rounds.map((round) => (round.length === 0 ? null : quantile(ascending(round), part)));
  }
}

export interface RatioSummary {
  /** One over the other: medians, unless another quantile is compared. */
  value: number;
  /** The middle half of the ratios that single rounds gave lies between these two. */
  p25: number;
  p75: number;
  /** What was divided by what. */
  contender: number;
  floor: number;
}

/** One contender's samples over another's, whose blocks were measured in the same rounds. */
export function ratioOf(contender: Samples, floor: Samples, part = 0.5): RatioSummary {
  const byRound = ascending(paired(contender, floor, part).map(([one, other]) => one / other));
  const [above, below] = [contender.quantile(part), floor.quantile(part)];
  return {
    value: above / below,
    p25: quantile(byRound, 0.25),
    p75: quantile(byRound, 0.75),
    contender: above,
    floor: below,
  };
}

/** By how much one contender's median lies above the other's, round by round. */
export function differenceOf(contender: Samples, floor: Samples): Samples {
  const difference = new Samples();
  for (const [one, other] of paired(contender, floor, 0.5)) difference.addRound([one - other]);
  return difference;
}

/** A quantile of both, of each round that both have values of. */
function paired(contender: Samples, floor: Samples, part: number): [number, number][] {
  const floors = floor.byRound(part);
  return contender.byRound(part).flatMap((one, round): [number, number][] => {
    const other = floors[round] ?? null;
    return one === null || other === null ? [] : [[one, other]];
  });
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

function ascending(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}
