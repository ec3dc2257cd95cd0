/** What a suite writes its results on. What was never measured is left off; `missing` says why. */

import type { Results, Unit } from "../run/suite.ts";
import type { Ledger } from "./ledger.ts";
import type { Prediction } from "./model.ts";
import { ratioOf, type Samples } from "./stats.ts";

export interface RowStyle {
  /** The chart that the row belongs to; unless it is given, rows of one unit share one. */
  chart?: string;
  /** In the chart; the row's name unless it is given. */
  label?: string;
  /** Whether this is something that Sandpiper is compared with. */
  peer?: boolean;
}

export class Sheet {
  readonly #suite: string;
  readonly #results: Results = { rows: [], ratios: [], costs: [], predictions: [], notes: [] };

  constructor(suite: string) {
    this.#suite = suite;
  }

  row(name: string, unit: Unit, samples: Samples, style: RowStyle = {}): this {
    if (samples.isEmpty) return this;
    const { chart = "", label = name, peer = false } = style;
    this.#results.rows.push({ suite: this.#suite, name, unit, chart, label, ours: !peer, ...samples.summary() });
    return this;
  }

  /** @param part which quantile is compared: the median unless it is given */
  ratio(name: string, unit: Unit, [contender, floor]: readonly [Samples, Samples], part = 0.5): this {
    if (contender.isEmpty || floor.isEmpty) return this;
    this.#results.ratios.push({ suite: this.#suite, name, unit, ...ratioOf(contender, floor, part) });
    return this;
  }

  cost(name: string, ledger: Ledger): this {
    if (ledger.calls > 0) this.#results.costs.push({ suite: this.#suite, name, ...ledger.costs() });
    return this;
  }

  predictions(predictions: readonly Prediction[]): this {
    this.#results.predictions.push(...predictions);
    return this;
  }

  missing(name: string, reason: string): this {
    this.#results.notes.push(`${this.#suite}: ${name} is not measured: ${reason}`);
    return this;
  }

  get results(): Results {
    return this.#results;
  }
}
